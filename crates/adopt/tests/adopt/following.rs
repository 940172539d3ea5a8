//! What stands by earlier runs, set beside the facts: what goes, what stays, and what people did here.

use charter_adopt::change::{Changes, Held, HeldAccount, HeldMember, HeldModule, HeldOrganization, HeldRole};
use charter_adopt::facts::{LegacyFacts, LegacyOrganization, LegacyRole, LegacyUser};
use charter_adopt::following::Following;
use charter_adopt::ids::{self, Kind};
use charter_adopt::mapping;
use charter_adopt::plan::Ground;
use charter_adopt::proof::{Beyond, Over};
use charter_adopt::removals::{Removed, RemovedRight};
use charter_adopt::rows::{Known, Making, Rows, Source};
use charter_adopt::sets::SetId;
use charter_adopt::source::System;
use charter_adopt::taken::{self, Becomes};
use charter_kernel::{AssignmentId, OrganizationId, PrincipalId};
use std::collections::BTreeSet;

const TOYS: OrganizationId = OrganizationId((1 << 80) + 7);

fn facts(users: &[(&str, &str, &str, bool)], is_active: bool) -> LegacyFacts {
    let mut facts = LegacyFacts::default();
    for name in ["accountant", "viewer"] {
        let (id, name) = (name.to_owned(), name.to_owned());
        facts.roles.push(LegacyRole { id, name, permissions: SetId::default() });
    }
    facts.organizations.push(LegacyOrganization {
        id: "7".to_owned(),
        name: "Toys".to_owned(),
        enabled_modules: None,
        is_active,
    });
    for (id, login, role, is_active) in users {
        let roles = facts.role_sets.keep(vec![u32::from(*role == "viewer")]);
        facts.users.push(LegacyUser {
            id,
            login,
            name: "",
            organization: Some(0),
            roles,
            permissions: SetId::default(),
            is_active: *is_active,
            is_superuser: false,
        });
    }
    facts
}

fn known(users: &[&str]) -> Known {
    let mut known = Known::default();
    known.runs.insert(1);
    known.organizations.insert("7".to_owned(), (TOYS, "toys".parse().unwrap()));
    known.standing.push(("7".to_owned(), TOYS));
    for id in users {
        known.users.insert((*id).into(), account(id));
    }
    known
}

fn account(id: &str) -> PrincipalId {
    PrincipalId(ids::id(1, Kind::User, &[id]))
}

fn assignment(run: u64, id: &str, role: &str) -> (AssignmentId, String) {
    let parts = [&TOYS.to_string()[..], &account(id).to_string(), role];
    (AssignmentId(ids::id(run, Kind::Assignment, &parts)), role.to_owned())
}

fn of(id: &str, login: &str, status: &str) -> HeldAccount {
    HeldAccount {
        legacy_id: id.to_owned(),
        principal: account(id),
        login: login.to_owned(),
        name: login.to_owned(),
        status: status.to_owned(),
        waits: false,
        own: true,
        status_settled: true,
        name_settled: true,
    }
}

fn member(id: &str, assignments: Vec<(AssignmentId, String)>) -> HeldMember {
    let status = "active".to_owned();
    HeldMember {
        principal: account(id),
        status,
        waits: false,
        recorded: false,
        with_account: true,
        settled: true,
        bare: true,
        out_of_time: false,
        assignments,
        grants: Vec::new(),
    }
}

fn held(members: Vec<HeldMember>) -> Held {
    let organization = HeldOrganization {
        name: "Toys".to_owned(),
        status: "active".to_owned(),
        enabled_modules: None,
        waits: false,
        own: true,
        settled: true,
    };
    let removed = Removed::default();
    Held { organization, roles: Vec::new(), modules: Vec::new(), members, removed, next: None }
}

#[expect(clippy::unnecessary_wraps, reason = "the form of what makes words here")]
fn same(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn followed(
    facts: &LegacyFacts,
    known: &Known,
    accounts: &[HeldAccount],
    held: &Held,
) -> (Changes, Vec<String>, Vec<String>, Rows) {
    let catalogue = charter_catalogue::shipped().unwrap();
    let mapping = mapping::propose(System::RoleColumn, None, facts, &catalogue);
    let ground = Ground::new(facts, &mapping, catalogue).unwrap();
    let mut following = Following::new(Making::new(ground.source(known, 0)), same, same);
    accounts.iter().for_each(|account| following.account(account));
    let place = following.place("7");
    following.organization(TOYS, place, held, true);
    let (changes, stopping, left) = following.end();
    let source = Source { kept: Some(&changes.kept), ..ground.source(known, 2) };
    let (mut making, mut rows) = (Making::new(source), Rows::default());
    for user in facts.users.iter() {
        making.account(user, &mut rows);
        making.member(user, &mut rows);
    }
    (changes, stopping, left, rows)
}

#[test]
fn what_is_wanted_stays_and_is_not_written_again_and_what_is_not_goes() {
    let facts = facts(&[("1", "ann", "viewer", true), ("2", "bob", "accountant", true)], true);
    let known = known(&["1", "2", "3"]);
    let stands = held(vec![
        // By two runs, and both are what is wanted.
        member(
            "1",
            vec![
                assignment(1, "1", "viewer"),
                assignment(3, "1", "viewer"),
                assignment(1, "1", "accountant"),
            ],
        ),
        member("3", vec![assignment(1, "3", "viewer")]),
    ]);
    let accounts = [of("1", "ann", "active"), of("2", "bob", "active"), of("3", "gone", "active")];
    let (changes, stopping, left, rows) = followed(&facts, &known, &accounts, &stands);
    assert_eq!((stopping, left), (Vec::<String>::new(), Vec::new()));
    let removed: Vec<u128> = changes.assignments.iter().map(|row| row.id).collect();
    assert_eq!(removed, [assignment(1, "1", "accountant").0.0, assignment(1, "3", "viewer").0.0]);
    let counts = changes.counts();
    assert_eq!((counts.deactivated, counts.by_role["viewer"], counts.by_role["accountant"]), (1, 1, 1));
    assert!(changes.stops(account("3").0) && !changes.stops(account("1").0));
    let written: Vec<&str> = rows.assignments.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(
        written,
        [assignment(2, "2", "accountant").0.to_string()],
        "bob has nothing yet, ann all of hers"
    );
}

#[test]
fn what_people_did_here_is_left_and_told() {
    let facts = facts(&[("1", "anna", "viewer", true), ("2", "bob", "accountant", true)], true);
    let known = known(&["1", "2"]);
    let mut stands = held(vec![HeldMember {
        status: "suspended".to_owned(),
        ..member("2", vec![assignment(1, "2", "accountant")])
    }]);
    stands.organization.settled = false;
    stands.organization.name = "Toys of ours".to_owned();
    stands.modules.push(HeldModule {
        module: "finance".to_owned(),
        status: "disabled".to_owned(),
        settled: false,
    });
    let accounts = [
        HeldAccount { name_settled: false, ..of("1", "ann", "active") },
        HeldAccount { status_settled: false, ..of("2", "bob", "deactivated") },
    ];
    let (changes, stopping, left, _) = followed(&facts, &known, &accounts, &stands);
    assert!(changes.counts().is_none(), "{:?}", changes.counts());
    assert_eq!((stopping.len(), left.len()), (3, 2), "{stopping:#?} {left:#?}");
    for said in ["(bob)", "finance of Toys of ours", "memberships were ended or suspended here"] {
        assert!(stopping.iter().any(|line| line.contains(said)), "{said}: {stopping:#?}");
    }
}

#[test]
fn an_account_that_no_run_made_loses_what_runs_gave_and_goes_on() {
    let facts = facts(&[("1", "ann", "viewer", false)], true);
    let mut known = known(&[]);
    let older = PrincipalId(0x0193_e7a0_0000_7000_8000_0000_0000_cccc);
    known.users.insert("1".into(), older);
    let parts = [&TOYS.to_string()[..], &older.to_string(), "viewer"];
    let row = AssignmentId(ids::id(1, Kind::Assignment, &parts));
    let stands = held(vec![HeldMember {
        principal: older,
        recorded: true,
        ..member("1", vec![(row, "viewer".to_owned())])
    }]);
    let account = HeldAccount { principal: older, own: false, ..of("1", "ann@older", "active") };
    let (changes, _, left, rows) = followed(&facts, &known, &[account], &stands);
    let counts = changes.counts();
    assert_eq!((counts.assignments, counts.memberships, counts.deactivated, counts.renamed), (1, 1, 0, 0));
    assert!(changes.ends(TOYS, older.0));
    // That the login is another one, and that the account goes on.
    assert_eq!((left.len(), rows.assignments.len()), (2, 0), "{left:#?}");
}

#[test]
fn an_account_that_another_system_has_as_well_loses_what_this_one_gave_and_goes_on() {
    let stopped = facts(&[("1", "ann", "viewer", false)], true);
    let mut known = known(&["1"]);
    known.shared.insert(account("1"));
    let shared = HeldAccount { own: false, ..of("1", "ann", "active") };
    let stands = held(vec![member("1", vec![assignment(1, "1", "viewer")])]);
    let (changes, stopping, left, rows) = followed(&stopped, &known, std::slice::from_ref(&shared), &stands);
    let counts = changes.counts();
    assert_eq!((counts.assignments, counts.memberships, counts.deactivated), (1, 1, 0));
    assert_eq!((rows.assignments.len(), stopping.len()), (0, 0), "{stopping:#?}");
    assert!(left.len() == 1 && left[0].contains("(ann)"), "{left:#?}");
    // Taken away once, it is told no more.
    let ended = held(vec![HeldMember { status: "deactivated".to_owned(), ..member("1", Vec::new()) }]);
    let (changes, stopping, left, _) = followed(&stopped, &known, std::slice::from_ref(&shared), &ended);
    assert!(changes.counts().is_none() && stopping.is_empty() && left.is_empty(), "{left:#?}");
    // Let in again.
    let facts = facts(&[("1", "ann", "viewer", true)], true);
    let (changes, _, _, rows) = followed(&facts, &known, std::slice::from_ref(&shared), &ended);
    assert_eq!((changes.counts().memberships, rows.assignments.len()), (1, 1));
    // The account stopped by a run of this source, and by people.
    let off = HeldAccount { status: "deactivated".to_owned(), ..shared };
    let (changes, stopping, ..) = followed(&facts, &known, std::slice::from_ref(&off), &ended);
    assert_eq!((changes.counts().reactivated, stopping.len()), (1, 0), "{stopping:#?}");
    let by_people = HeldAccount { status_settled: false, ..off };
    let (changes, stopping, ..) = followed(&facts, &known, &[by_people], &ended);
    assert_eq!(changes.counts().reactivated, 0);
    assert!(stopping.iter().any(|line| line.contains("(ann)")), "{stopping:#?}");
}

#[test]
fn a_membership_goes_where_its_user_left_and_people_made_nothing_of_it() {
    let mut facts = facts(&[("1", "ann", "viewer", true), ("2", "bob", "viewer", true)], true);
    // Both belong to another organization by now.
    let name = "Trade".to_owned();
    facts.organizations.push(LegacyOrganization {
        id: "8".to_owned(),
        name,
        enabled_modules: None,
        is_active: true,
    });
    let mut users = charter_adopt::facts::LegacyUsers::default();
    facts.users.iter().for_each(|user| users.push(LegacyUser { organization: Some(1), ..user }));
    facts.users = users;
    let known = known(&["1", "2", "3"]);
    let stands = held(vec![
        member("1", vec![assignment(1, "1", "viewer")]),
        HeldMember { bare: false, ..member("2", vec![assignment(1, "2", "viewer")]) },
        // Gone from there: the account stops, and its membership stays for the day it comes back.
        member("3", vec![assignment(1, "3", "viewer")]),
    ]);
    let accounts = [of("1", "ann", "active"), of("2", "bob", "active"), of("3", "cid", "active")];
    let (changes, stopping, ..) = followed(&facts, &known, &accounts, &stands);
    let counts = changes.counts();
    assert_eq!(
        (counts.memberships_removed, counts.memberships, counts.assignments),
        (1, 0, 3),
        "{stopping:#?}"
    );
    assert!(changes.ends(TOYS, account("1").0) && !changes.ends(TOYS, account("2").0));
}

#[test]
fn an_organization_that_is_closed_there_is_closed_whoever_changed_it_here() {
    let facts = facts(&[("1", "ann", "viewer", true)], false);
    let mut stands = held(Vec::new());
    stands.organization.settled = false;
    stands.organization.name = "Ours".to_owned();
    stands.roles.push(HeldRole {
        key: "adopted_x".to_owned(),
        name: "X".to_owned(),
        permissions: Vec::new(),
        extended: false,
        settled: false,
    });
    let (changes, stopping, ..) = followed(&facts, &known(&["1"]), &[], &stands);
    assert!(changes.closes(TOYS) && stopping.is_empty(), "{stopping:#?}");
    assert_eq!(changes.organizations[0].name, None);
}

#[test]
fn what_people_took_away_comes_back_or_stays_away_and_nothing_else_may_be_missing() {
    let facts = facts(&[("1", "ann", "viewer", true), ("2", "bob", "accountant", true)], true);
    let known = known(&["1", "2"]);
    let mut stands = held(vec![member("2", vec![assignment(1, "2", "accountant")])]);
    let removed = |id: &str| RemovedRight {
        id: assignment(1, id, "viewer").0,
        principal: account(id),
        key: "viewer".to_owned(),
        gives: Vec::new(),
    };
    stands.removed.rights = vec![removed("1"), removed("2")];
    let catalogue = charter_catalogue::shipped().unwrap();
    let mapping = mapping::propose(System::RoleColumn, None, &facts, &catalogue);
    let mut ground = Ground::new(&facts, &mapping, catalogue).unwrap();
    let (changes, removals) = {
        let mut following = Following::new(Making::new(ground.source(&known, 0)), same, same);
        following.organization(TOYS, following.place("7"), &stands, true);
        let removals = following.removals();
        (following.end().0, removals)
    };
    let found = taken::find(&ground, &known, &changes, &removals);
    let decide = |words: &[&str]| {
        let accepted = words.iter().map(|word| (*word).to_owned()).collect();
        taken::decide(&ground, &known, &found, &accepted)
    };
    let open = decide(&["back:bob", "away:bob"]).told;
    assert_eq!((open.open, open.back, open.away), (1, 0, 0), "bob's is wanted by nobody");
    let named = &open.named[0];
    assert_eq!(
        (&named.login[..], &named.organization[..], &named.what[..], named.becomes),
        ("ann", "toys", "role viewer", Becomes::Open)
    );
    let back = decide(&["back:ann", taken::KEEP_ALL]);
    assert_eq!((back.told.back, back.told.away, back.away.is_none()), (1, 0, true));
    let kept = decide(&["away:ann"]);
    assert!(kept.told.is_done_by(&kept.told) && !back.told.is_done_by(&kept.told));
    assert_eq!(kept.told, decide(&[taken::KEEP_ALL]).told);
    ground.away = kept.away;
    let mut rows = Rows::default();
    let mut making = Making::new(Source { kept: Some(&changes.kept), ..ground.source(&known, 2) });
    facts.users.iter().for_each(|user| making.member(user, &mut rows));
    assert_eq!((rows.memberships.len(), rows.assignments.len()), (2, 0));
    // The loss is named, and nobody has to accept the role.
    let (nobody, nothing) = (BTreeSet::new(), Beyond::new());
    let verdict = ground.verdict(&nobody, &nothing, &mut |_| {});
    assert_eq!((verdict.unaccepted, verdict.users_losing, verdict.gains), (0, 1, 0));
    assert_eq!((&verdict.named[0].login[..], verdict.named[0].accepted), ("ann", true));
    // Somebody else's loss is not, nor what ann has more than her role.
    let mut judge = ground.judge(&nobody, &nothing);
    let (ann, bob) = (facts.users.get(0).unwrap(), facts.users.get(1).unwrap());
    judge.user(bob, &ground.universe.none(), Over::default());
    judge.user(ann, &ground.universe.all(), Over::default());
    judge.user(ann, &ground.universe.none(), Over { all: true, parts: None });
    assert_eq!(judge.verdict().unaccepted, 3);
    // What is kept away and nevertheless allowed fails the proof, unless people gave it by hand.
    let mut judge = ground.judge(&nobody, &nothing);
    let viewer = ground.universe.of_role(&ground.catalogue, &"viewer".parse().unwrap());
    let mut regained = judge.regained(ann, &viewer);
    assert!(!regained.is_none() && judge.regained(bob, &viewer).is_none());
    judge.user_with(ann, &viewer, Over::default(), &regained);
    regained.remove(&viewer);
    judge.user_with(ann, &viewer, Over::default(), &regained);
    let verdict = judge.verdict();
    assert_eq!((verdict.unaccepted, verdict.users_gaining), (1, 1), "{verdict:#?}");
}

#[test]
fn what_gives_some_of_what_was_taken_away_is_asked_about_under_any_name() {
    let facts = facts(&[("1", "ann", "viewer", true), ("2", "bob", "viewer", true)], true);
    let known = known(&["1", "2"]);
    let mut stands = held(Vec::new());
    let removed = |id: &str, key: &str, gives: &[&str]| RemovedRight {
        id: assignment(1, id, "gone").0,
        principal: account(id),
        key: key.to_owned(),
        gives: gives.iter().map(|it| (*it).to_owned()).collect(),
    };
    let catalogue = charter_catalogue::shipped().unwrap();
    let mapping = mapping::propose(System::RoleColumn, None, &facts, &catalogue);
    let ground = Ground::new(&facts, &mapping, catalogue).unwrap();
    let viewer = ground.universe.of_role(&ground.catalogue, &"viewer".parse().unwrap());
    let place = |has: bool| (0..ground.universe.len()).find(|place| viewer.has(*place) == has).unwrap();
    let code = |has| ground.universe.code(place(has)).unwrap().as_str();
    // By codes, by a shipped role, and by what nobody knows any more; but not what has nothing in common.
    for (key, gives, asked) in [
        ("adopted_x", vec![code(true)], 1),
        ("viewer", vec![], 1),
        ("", vec![], 1),
        ("adopted_x", vec![], 1),
        ("adopted_x", vec![code(false)], 0),
    ] {
        stands.removed.rights = vec![removed("1", key, &gives)];
        let mut following = Following::new(Making::new(ground.source(&known, 0)), same, same);
        following.organization(TOYS, following.place("7"), &stands, true);
        let removals = following.removals();
        let found = taken::find(&ground, &known, &following.end().0, &removals);
        let logins: Vec<&str> = found.taken.iter().map(|it| it.login.as_str()).collect();
        assert_eq!(logins, vec!["ann"; asked], "{key} {gives:?}");
    }
}
