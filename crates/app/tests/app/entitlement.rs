//! The middle layer over both databases: the rules E1 to E9, plans, trials, limits, the legacy document.

use crate::world::{Node, open};
use charter_app::entitlement::{self, Access, ChangeOptions, OverrideDraft, OverrideKind, Standings};
use charter_app::limit::{self, LimitDraft, LimitState, UsageEvent};
use charter_app::organization::{self, OrganizationUpdate};
use charter_app::plan::{
    self, AddonDraft, Ending, MigrateOptions, PlanDraft, PlanEntitlement, SubscribeDraft, SubscriptionStatus,
    TrialDraft, TrialEnd, When,
};
use charter_app::{Caller, Page, RequestContext, SignedIn, audit};
use charter_db::{BoxFuture, Scope, Statement, Tx};
use charter_kernel::catalogue::ModuleScope;
use charter_kernel::entitlement::{
    Enforcement, EntitlementFact, EntitlementSource, EntitlementStatus, LimitMode, PlanLimit, PreviewFact,
};
use charter_kernel::facts::{
    AssignmentFact, MemberFact, OrganizationFact, OrganizationFacts, OrganizationKind, OrganizationStatus,
    PrincipalKind, PrincipalStatus, Subject,
};
use charter_kernel::{
    AssignmentId, Key, OrganizationId, PrincipalId, Problem, ProblemKind, Reason, Revision, SubscriptionId,
    Timestamp, Window,
};
use charter_policy::{Check, Context, Index, Interner, Shard};
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use std::sync::Arc;

const DAY: i64 = 86_400;

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn apply() -> ChangeOptions {
    ChangeOptions::default()
}

fn dry_run() -> ChangeOptions {
    ChangeOptions { dry_run: true, if_revision: None }
}

async fn facts(node: &Node) -> OrganizationFacts {
    charter_store::facts::load(node.app.database(), node.toys()).await.unwrap().unwrap()
}

async fn caller(node: &Node, login: &str) -> RequestContext {
    let facts = facts(node).await;
    let member = facts.members.iter().find(|member| member.login == login).unwrap();
    let signed_in = SignedIn {
        id: member.principal,
        kind: member.kind,
        login: member.login.clone(),
        name: member.name.clone(),
        session: None,
        credential: None,
        organization: Some(node.toys()),
        ceiling: None,
        by_client: None,
        amr: vec!["pwd".to_owned()],
        authenticated_at: None,
        expires_at: None,
        legacy_issued_at: None,
        support: None,
    };
    RequestContext { caller: Caller::Principal(Arc::new(signed_in)), ..node.operator() }
}

/// What the decision says to ann, an administrator: `allow`, or the reason why not.
async fn decides(node: &Node, permission: &'static str) -> &'static str {
    decides_for(node, "ann@toys.example", permission).await
}

async fn decides_for(node: &Node, login: &str, permission: &'static str) -> &'static str {
    node.app.snapshots().catch_up().await.unwrap();
    match node.app.require(&caller(node, login).await, node.toys(), permission).await {
        Ok(_) => "allow",
        Err(problem) => problem.reason.map_or("?", Reason::as_str),
    }
}

fn to_plan(plan: &str, when: When) -> SubscribeDraft {
    SubscribeDraft {
        plan: key(plan),
        version: None,
        when,
        force: false,
        ends_at: None,
        grace_days: None,
        read_only_days: None,
        fallback_plan: None,
        pinned: false,
        reason: "the contract".to_owned(),
    }
}

async fn subscribe(node: &Node, draft: SubscribeDraft) -> Result<plan::Subscribed, Problem> {
    let permit = node.permit(node.app.platform()).await;
    plan::subscribe(&node.app, &node.operator(), &permit, node.toys(), apply(), draft)
        .await
        .map(|done| done.value)
}

async fn put(
    node: &Node,
    module: &str,
    submodule: Option<&str>,
    kind: OverrideKind,
    window: Window,
) -> Result<entitlement::OverrideView, Problem> {
    let permit = node.permit(node.app.platform()).await;
    let draft = OverrideDraft {
        module: key(module),
        submodule: submodule.map(key),
        kind,
        window,
        reason: "asked for".to_owned(),
    };
    entitlement::put_override(&node.app, &node.operator(), &permit, node.toys(), apply(), draft)
        .await
        .map(|done| done.value)
}

async fn take_back(node: &Node, module: &str, submodule: Option<&str>) -> Result<(), Problem> {
    let permit = node.permit(node.app.platform()).await;
    let what = (key(module), submodule.map(key));
    entitlement::delete_override(
        &node.app,
        &node.operator(),
        &permit,
        node.toys(),
        apply(),
        what,
        "no longer asked for",
    )
    .await
    .map(|_| ())
}

async fn trial(
    node: &Node,
    plan: &str,
    days: u32,
    end: TrialEnd,
    force: bool,
) -> Result<plan::Subscribed, Problem> {
    let permit = node.permit(node.app.platform()).await;
    let draft = TrialDraft {
        plan: key(plan),
        version: None,
        days: Some(days),
        end,
        grace_days: None,
        read_only_days: None,
        force,
        reason: "they want to see it".to_owned(),
    };
    plan::start_trial(&node.app, &node.operator(), &permit, node.toys(), apply(), draft)
        .await
        .map(|done| done.value)
}

async fn legacy(node: &Node, document: &str) {
    let permit = node.permit(node.app.platform()).await;
    let update =
        OrganizationUpdate { enabled_modules: Some(Some(document.to_owned())), ..Default::default() };
    organization::update(&node.app, &node.operator(), &permit, node.toys(), update).await.unwrap();
}

/// The chains of the organization verify, and the audit trail names the action.
async fn recorded(node: &Node, action: &str) {
    let chain = entitlement::verify(&node.app, node.toys()).await.unwrap();
    assert!(chain.faults.is_empty() && chain.events > 0, "{chain:?}");
    let trail = audit::verify_organization(&node.app, node.toys()).await.unwrap();
    assert!(trail.faults.is_empty(), "{trail:?}");
    let events = entitlement::events(&node.app, node.toys(), None, &Page::first(200)).await.unwrap();
    let found = events.items.iter().find(|event| event.action == action).expect(action);
    assert!(!found.reason.is_empty());
}

fn ending(subscription: SubscriptionId) -> Ending {
    Ending { subscription, kind: None, at: None }
}

async fn company(db: &TestDatabase) -> Node {
    let node = open(db).await;
    node.company().await;
    node
}

both_engines!(each_rule_of_the_middle_layer_decides_through_the_use_cases, async |db: TestDatabase| {
    let node = company(&db).await;
    let now = node.now();
    let soon = Window::new(Some(now), Some(now.plus_seconds(DAY))).unwrap();
    // E2 always on; E4 no row and no document.
    assert_eq!(decides(&node, "admin.users.read").await, "allow");
    assert_eq!(decides(&node, "crm.leads.read").await, "not_entitled");
    // E1 a code nobody knows is a fault of ours, not a refusal.
    let unknown =
        node.app.require(&caller(&node, "ann@toys.example").await, node.toys(), "crm.leads.frobnicate").await;
    assert_eq!(unknown.unwrap_err().kind, ProblemKind::Internal);
    // E4 the document, in any case.
    legacy(&node, r#"{" cRm ": "Yes", "Sales": 0}"#).await;
    assert_eq!(decides(&node, "crm.leads.read").await, "allow");
    assert_eq!(decides(&node, "sales.orders.read").await, "not_entitled");
    // E3 blocked beats the document, and for a day only.
    put(&node, "crm", None, OverrideKind::Blocked, soon).await.unwrap();
    assert_eq!(decides(&node, "crm.leads.read").await, "entitlement_blocked");
    node.clock.forward(DAY);
    assert_eq!(decides(&node, "crm.leads.read").await, "allow", "the document's word was kept as a row");
    take_back(&node, "crm", None).await.unwrap();
    // E5 enabled by an override.
    let put_inventory = put(&node, "production", None, OverrideKind::Enabled, Window::ALWAYS).await.unwrap();
    assert_eq!(put_inventory.missing, [key("inventory")], "nothing is pulled in silently");
    assert_eq!(decides(&node, "production.work_orders.read").await, "allow");
    put(&node, "inventory", None, OverrideKind::Enabled, Window::ALWAYS).await.unwrap();
    // A module that another one needs stays.
    let refused = put(&node, "inventory", None, OverrideKind::Blocked, Window::ALWAYS).await.unwrap_err();
    assert_eq!(refused.kind, ProblemKind::InUse);
    assert!(refused.detail.contains("production"), "{refused}");
    let refused = take_back(&node, "inventory", None).await.unwrap_err();
    assert_eq!(refused.kind, ProblemKind::InUse);
    // E6 preview for those on the list.
    put(&node, "hr", None, OverrideKind::Preview, Window::ALWAYS).await.unwrap();
    assert_eq!(decides(&node, "hr.employees.read").await, "preview_only");
    let permit = node.permit(node.app.platform()).await;
    let who = "ann@toys.example".to_owned();
    entitlement::add_preview(
        &node.app,
        &node.operator(),
        &permit,
        node.toys(),
        key("hr"),
        who.clone(),
        "a tester",
    )
    .await
    .unwrap();
    assert_eq!(decides(&node, "hr.employees.read").await, "allow");
    assert_eq!(decides_for(&node, "carl@toys.example", "hr.employees.read").await, "preview_only");
    let view = entitlement::of_organization(&node.app, node.toys(), node.now()).await.unwrap();
    let hr = view.modules.iter().find(|it| it.module == key("hr")).unwrap();
    assert_eq!((hr.access, hr.entitled), (Access::Preview, false));
    entitlement::remove_preview(
        &node.app,
        &node.operator(),
        &permit,
        node.toys(),
        key("hr"),
        who,
        "done testing",
    )
    .await
    .unwrap();
    assert_eq!(decides(&node, "hr.employees.read").await, "preview_only");
    // E8 a part.
    put(&node, "production", Some("planning"), OverrideKind::Blocked, Window::ALWAYS).await.unwrap();
    assert_eq!(decides(&node, "production.work_orders.read").await, "entitlement_blocked");
    assert_eq!(decides(&node, "production.boms.read").await, "allow");
    take_back(&node, "production", Some("planning")).await.unwrap();
    assert_eq!(decides(&node, "production.work_orders.read").await, "allow");
    // The same answers from the check.
    let ctx = caller(&node, "ann@toys.example").await;
    let asked =
        entitlement::check(&node.app, &ctx, node.toys(), &key("production"), Some(&key("planning")), None)
            .await
            .unwrap();
    assert!(asked.entitled && asked.reason == "enabled");
    // Always-on and unknown modules are not switched.
    assert_eq!(
        put(&node, "audit", None, OverrideKind::Blocked, Window::ALWAYS).await.unwrap_err().kind,
        ProblemKind::Invalid
    );
    assert_eq!(
        put(&node, "nothing", None, OverrideKind::Blocked, Window::ALWAYS).await.unwrap_err().kind,
        ProblemKind::NotFound
    );
    recorded(&node, "entitlement.override").await;
});

both_engines!(a_change_by_hand_needs_a_reason_and_is_done_once, async |db: TestDatabase| {
    let node = company(&db).await;
    let permit = node.permit(node.app.platform()).await;
    let ctx = node.operator();
    let mut draft = OverrideDraft {
        module: key("crm"),
        submodule: None,
        kind: OverrideKind::Enabled,
        window: Window::ALWAYS,
        reason: "  ".to_owned(),
    };
    let refused =
        entitlement::put_override(&node.app, &ctx, &permit, node.toys(), apply(), draft.clone()).await;
    assert_eq!(refused.unwrap_err().fields[0].field, "reason");
    draft.reason = "sold".to_owned();
    let tried = entitlement::put_override(&node.app, &ctx, &permit, node.toys(), dry_run(), draft.clone());
    assert!(!tried.await.unwrap().wrote);
    assert_eq!(decides(&node, "crm.leads.read").await, "not_entitled");
    let first = entitlement::put_override(&node.app, &ctx, &permit, node.toys(), apply(), draft.clone());
    let first = first.await.unwrap();
    let again = entitlement::put_override(&node.app, &ctx, &permit, node.toys(), apply(), draft.clone());
    let again = again.await.unwrap();
    assert!(first.wrote && !again.wrote);
    assert_eq!(first.revision, again.revision, "what changes nothing takes no revision");
    let stale = ChangeOptions { dry_run: false, if_revision: Some(Revision(first.revision.0 - 1)) };
    draft.kind = OverrideKind::Blocked;
    let refused = entitlement::put_override(&node.app, &ctx, &permit, node.toys(), stale, draft).await;
    assert_eq!(refused.unwrap_err().kind, ProblemKind::Changed);
    let events =
        entitlement::events(&node.app, node.toys(), Some(key("crm")), &Page::first(10)).await.unwrap();
    assert_eq!(events.items.len(), 1);
    assert_eq!(events.items[0].actor, "operator:charter");
    let seen = entitlement::of_organization(&node.app, node.toys(), node.now()).await.unwrap();
    assert_eq!(seen.version, 1);
});

both_engines!(
    a_plan_brings_its_modules_and_a_downgrade_waits_for_the_paid_period,
    async |db: TestDatabase| {
        let node = company(&db).await;
        let paid_until = node.now().plus_seconds(30 * DAY);
        let mut growth = to_plan("growth", When::Auto);
        growth.ends_at = Some(paid_until);
        let done = subscribe(&node, growth).await.unwrap();
        assert_eq!(done.subscription.status, SubscriptionStatus::Active);
        assert!(done.preview.gained.contains(&key("production")));
        assert_eq!(decides(&node, "production.work_orders.create").await, "allow");
        // Production and quality are above the starter plan: the change waits for the end, and says what it means.
        let refused = subscribe(&node, to_plan("starter", When::Now)).await.unwrap_err();
        assert!(refused.detail.contains("paid period"), "{refused}");
        let done = subscribe(&node, to_plan("starter", When::Auto)).await.unwrap();
        assert_eq!(done.subscription.status, SubscriptionStatus::Scheduled);
        assert_eq!(done.subscription.subscription.window.from(), Some(paid_until));
        let ending: Vec<&str> = done.preview.read_only.iter().map(|it| it.module.as_str()).collect();
        assert_eq!(ending, ["procurement", "production", "quality"]);
        let ann = done.preview.users.iter().find(|user| user.login == "ann@toys.example").unwrap();
        assert_eq!(ann.roles, [key("org_admin")]);
        assert!(!done.preview.users.iter().any(|user| user.login == "bob@toys.example"));
        let users = done.preview.limits_lowered.iter().find(|it| it.limit == key("users")).unwrap();
        assert_eq!((users.before, users.after), (Some(100), Some(10)));
        assert_eq!(decides(&node, "production.work_orders.create").await, "allow");
        // It takes effect on time, whether or not a job runs: grace, then reading, then nothing.
        node.clock.forward(30 * DAY);
        assert_eq!(decides(&node, "production.work_orders.create").await, "allow");
        assert_eq!(decides(&node, "sales.orders.create").await, "allow");
        let view = entitlement::of_organization(&node.app, node.toys(), node.now()).await.unwrap();
        let production = view.modules.iter().find(|it| it.module == key("production")).unwrap();
        assert_eq!(production.access, Access::Grace);
        assert_eq!(production.until, Some(paid_until.plus_seconds(7 * DAY)));
        assert_eq!(view.plan, Some((key("starter"), 1)));
        // Two nodes sweep, once each thing is done.
        let (one, two) = tokio::join!(plan::sweep(&node.app), plan::sweep(&node.app));
        let (one, two) = (one.unwrap(), two.unwrap());
        assert_eq!((one.begun + two.begun, one.ended + two.ended), (1, 1));
        node.clock.forward(7 * DAY);
        assert_eq!(decides(&node, "production.work_orders.create").await, "read_only");
        assert_eq!(decides(&node, "production.work_orders.read").await, "allow");
        assert_eq!(decides(&node, "production.work_orders.export").await, "allow");
        node.clock.forward(30 * DAY);
        assert_eq!(decides(&node, "production.work_orders.read").await, "expired");
        assert_eq!(decides(&node, "sales.orders.create").await, "allow");
        recorded(&node, "plan.schedule").await;
        recorded(&node, "subscription.begin").await;
    }
);

both_engines!(a_scheduled_change_is_withdrawn_and_what_it_cut_short_goes_on, async |db: TestDatabase| {
    let node = company(&db).await;
    subscribe(&node, to_plan("growth", When::Now)).await.unwrap();
    let later = node.now().plus_seconds(10 * DAY);
    let refused = subscribe(&node, to_plan("starter", When::Auto)).await.unwrap_err();
    assert!(refused.detail.contains("no end"), "{refused}");
    let scheduled = subscribe(&node, to_plan("starter", When::At(later))).await.unwrap();
    let growth = || async {
        let all = plan::subscriptions(&node.app, node.toys()).await.unwrap();
        all.into_iter().find(|row| row.subscription.plan == key("growth")).unwrap()
    };
    assert_eq!(growth().await.subscription.window.to(), Some(later));
    let permit = node.permit(node.app.platform()).await;
    let id = scheduled.subscription.subscription.id;
    plan::end(&node.app, &node.operator(), &permit, node.toys(), apply(), ending(id), "they stay")
        .await
        .unwrap();
    assert_eq!(growth().await.subscription.window.to(), None);
    node.clock.forward(11 * DAY);
    assert_eq!(decides(&node, "production.work_orders.create").await, "allow");
    let view = entitlement::of_organization(&node.app, node.toys(), node.now()).await.unwrap();
    let production = view.modules.iter().find(|it| it.module == key("production")).unwrap();
    assert_eq!((production.access, production.until), (Access::Full, None));
    // A forced downgrade happens now; ending a plan twice does not.
    let mut forced = to_plan("starter", When::Now);
    forced.force = true;
    subscribe(&node, forced).await.unwrap();
    assert_eq!(decides(&node, "production.work_orders.create").await, "allow", "its grace runs");
    let old = growth().await.subscription.id;
    let refused =
        plan::end(&node.app, &node.operator(), &permit, node.toys(), apply(), ending(old), "again").await;
    assert_eq!(refused.unwrap_err().kind, ProblemKind::InUse);
    recorded(&node, "subscription.withdraw").await;
});

both_engines!(
    a_plan_scheduled_for_an_organization_on_its_legacy_document_leaves_it_in_force_until_then,
    async |db: TestDatabase| {
        let node = company(&db).await;
        legacy(&node, r#"["crm", "hr"]"#).await;
        let later = node.now().plus_seconds(10 * DAY);
        let scheduled = subscribe(&node, to_plan("starter", When::At(later))).await.unwrap();
        assert_eq!(decides(&node, "crm.leads.create").await, "allow");
        assert_eq!(decides(&node, "hr.employees.read").await, "allow");
        assert_eq!(decides(&node, "sales.orders.read").await, "not_entitled");
        let permit = node.permit(node.app.platform()).await;
        let id = scheduled.subscription.subscription.id;
        plan::end(&node.app, &node.operator(), &permit, node.toys(), apply(), ending(id), "not yet")
            .await
            .unwrap();
        node.clock.forward(20 * DAY);
        assert_eq!(
            decides(&node, "crm.leads.create").await,
            "allow",
            "withdrawn: the document's word goes on"
        );
        assert_eq!(decides(&node, "sales.orders.read").await, "not_entitled");
    }
);

both_engines!(a_trial_ends_through_grace_and_reading_and_comes_once, async |db: TestDatabase| {
    let node = company(&db).await;
    let started = trial(&node, "growth", 30, TrialEnd::Auto, false).await.unwrap();
    assert_eq!(started.preview.gained.len(), 8);
    assert_eq!(decides(&node, "crm.leads.create").await, "allow");
    node.clock.forward(29 * DAY);
    let view = entitlement::of_organization(&node.app, node.toys(), node.now()).await.unwrap();
    let crm = view.modules.iter().find(|it| it.module == key("crm")).unwrap();
    assert!(crm.warnings.iter().any(|it| it.contains("ends at")), "{crm:?}");
    node.clock.forward(DAY);
    assert_eq!(decides(&node, "crm.leads.create").await, "allow", "grace");
    node.clock.forward(7 * DAY);
    assert_eq!(decides(&node, "crm.leads.create").await, "read_only");
    assert_eq!(decides(&node, "crm.leads.read").await, "allow");
    node.clock.forward(30 * DAY);
    assert_eq!(decides(&node, "crm.leads.read").await, "expired");
    assert_eq!(plan::sweep(&node.app).await.unwrap().ended, 1);
    let refused = trial(&node, "starter", 30, TrialEnd::Expire, false).await.unwrap_err();
    assert_eq!(refused.kind, ProblemKind::Taken);
    assert!(refused.detail.contains("crm"), "{refused}");
    trial(&node, "starter", 30, TrialEnd::Plan(key("starter")), true).await.unwrap();
    assert_eq!(decides(&node, "crm.leads.create").await, "allow");
    node.clock.forward(30 * DAY);
    assert_eq!(decides(&node, "crm.leads.create").await, "allow", "the plan that follows has begun");
    let view = entitlement::of_organization(&node.app, node.toys(), node.now()).await.unwrap();
    assert_eq!(view.plan, Some((key("starter"), 1)));
    recorded(&node, "trial.start").await;
});

both_engines!(a_trial_over_a_plan_falls_back_to_it_at_once, async |db: TestDatabase| {
    let node = company(&db).await;
    subscribe(&node, to_plan("starter", When::Auto)).await.unwrap();
    trial(&node, "growth", 10, TrialEnd::Auto, false).await.unwrap();
    assert_eq!(decides(&node, "production.work_orders.create").await, "allow");
    node.clock.forward(10 * DAY);
    assert_eq!(decides(&node, "production.work_orders.create").await, "expired");
    assert_eq!(decides(&node, "crm.leads.create").await, "allow");
});

both_engines!(a_trial_that_ends_early_is_followed_by_its_plan_at_once, async |db: TestDatabase| {
    let node = company(&db).await;
    let started = trial(&node, "growth", 30, TrialEnd::Plan(key("starter")), false).await.unwrap();
    node.clock.forward(DAY);
    let permit = node.permit(node.app.platform()).await;
    let id = started.subscription.subscription.id;
    let done =
        plan::end(&node.app, &node.operator(), &permit, node.toys(), apply(), ending(id), "seen enough")
            .await;
    assert_eq!(done.unwrap().value.subscription.status, SubscriptionStatus::Ended);
    assert_eq!(decides(&node, "crm.leads.create").await, "allow");
    assert_eq!(decides(&node, "production.work_orders.create").await, "expired");
    let view = entitlement::of_organization(&node.app, node.toys(), node.now()).await.unwrap();
    assert_eq!(view.plan, Some((key("starter"), 1)));
});

async fn published(node: &Node, plan_key: &str, draft: PlanDraft) -> u32 {
    let permit = node.permit(node.app.platform()).await;
    let ctx = node.operator();
    let drafted =
        plan::draft_version(&node.app, &ctx, &permit, key(plan_key), draft, "a new offer").await.unwrap();
    let version = drafted.plan.version;
    plan::publish(&node.app, &ctx, &permit, key(plan_key), version, "agreed").await.unwrap();
    version
}

fn offer(modules: &[(&str, Option<&str>)], limits: &[(&str, i64)]) -> PlanDraft {
    PlanDraft {
        name: "An offer".to_owned(),
        description: String::new(),
        rank: 15,
        trial_days: 0,
        entitlements: modules
            .iter()
            .map(|(module, submodule)| PlanEntitlement {
                module: key(module),
                submodule: submodule.map(key),
                preview: false,
            })
            .collect(),
        limits: limits
            .iter()
            .map(|(limit, value)| PlanLimit {
                limit: key(limit),
                value: Some(*value),
                enforcement: Enforcement::Hard,
                warn_percent: 80,
            })
            .collect(),
    }
}

both_engines!(
    an_addon_ends_when_the_plan_includes_it_or_takes_away_what_it_needs,
    async |db: TestDatabase| {
        let node = company(&db).await;
        published(&node, "people", offer(&[("hr", None)], &[])).await;
        published(&node, "campaigns", offer(&[("marketing", None)], &[])).await;
        published(&node, "seats", offer(&[], &[("users", 5)])).await;
        published(&node, "all_people", offer(&[("hr", None), ("crm", None)], &[("users", 20)])).await;
        published(&node, "bare", offer(&[("finance", None)], &[("users", 1)])).await;
        subscribe(&node, to_plan("starter", When::Auto)).await.unwrap();
        let permit = node.permit(node.app.platform()).await;
        for (plan_key, quantity) in [("people", 1), ("campaigns", 1), ("seats", 3)] {
            let draft = AddonDraft {
                plan: key(plan_key),
                version: None,
                quantity,
                starts_at: None,
                ends_at: None,
                pinned: false,
                reason: "ordered".to_owned(),
            };
            plan::add_addon(&node.app, &node.operator(), &permit, node.toys(), apply(), draft.clone())
                .await
                .unwrap();
            let again =
                plan::add_addon(&node.app, &node.operator(), &permit, node.toys(), apply(), draft).await;
            assert_eq!(again.unwrap_err().kind, ProblemKind::Taken);
        }
        assert_eq!(decides(&node, "hr.employees.read").await, "allow");
        let limits = limit::of_organization(&node.app, node.toys(), node.now()).await.unwrap();
        let users = limits.iter().find(|it| it.limit.key == key("users")).unwrap();
        assert_eq!(users.effective.value, Some(10 + 3 * 5));
        node.clock.forward(DAY);
        let done = subscribe(&node, to_plan("all_people", When::Auto)).await.unwrap();
        let ending: Vec<&str> = done.preview.addons_ending.iter().map(|it| it.plan.as_str()).collect();
        assert_eq!(ending, ["people"], "hr comes with the plan; campaigns need crm, which stays");
        assert_eq!(decides(&node, "hr.employees.create").await, "allow");
        let mut bare = to_plan("bare", When::Now);
        bare.force = true;
        let done = subscribe(&node, bare).await.unwrap();
        let ending: Vec<&str> = done.preview.addons_ending.iter().map(|it| it.plan.as_str()).collect();
        assert_eq!(ending, ["campaigns"], "crm is gone, and seats are only limits");
        recorded(&node, "addon.add").await;
    }
);

both_engines!(a_published_version_stays_and_subscriptions_move_when_told, async |db: TestDatabase| {
    let node = company(&db).await;
    let permit = node.permit(node.app.platform()).await;
    let ctx = node.operator();
    let first =
        published(&node, "offer", offer(&[("crm", Some("leads")), ("hr", None)], &[("users", 10)])).await;
    subscribe(&node, to_plan("offer", When::Auto)).await.unwrap();
    assert_eq!(decides(&node, "crm.leads.read").await, "allow");
    assert_eq!(decides(&node, "crm.contacts.read").await, "submodule_not_entitled");
    limit::consume(&node.app, &permit, node.toys(), key("users"), 8, None, node.now()).await.unwrap();
    let missing = offer(&[("marketing", None)], &[]);
    let drafted = plan::draft_version(&node.app, &ctx, &permit, key("offer"), missing, "try").await.unwrap();
    assert_eq!(drafted.warnings, ["marketing needs crm, which the plan does not have"]);
    let second = published(&node, "offer", offer(&[("crm", None), ("sales", None)], &[("users", 5)])).await;
    assert_eq!((first, second), (1, 2), "the draft was replaced");
    assert_eq!(decides(&node, "crm.contacts.read").await, "submodule_not_entitled", "pinned until told");
    let options = |dry_run| MigrateOptions {
        version: None,
        organization: None,
        include_pinned: false,
        dry_run,
        reason: "the new offer".to_owned(),
    };
    node.clock.forward(DAY);
    let ctx = node.operator();
    let tried = plan::migrate(&node.app, &ctx, &permit, key("offer"), options(true)).await.unwrap();
    assert_eq!(tried.len(), 1);
    assert!(!tried[0].applied);
    assert_eq!(tried[0].preview.gained, [key("sales")]);
    assert_eq!(tried[0].preview.read_only[0].module, key("hr"));
    let users = &tried[0].preview.limits_lowered[0];
    assert_eq!((users.before, users.after, users.used, users.above), (Some(10), Some(5), 8, 3));
    assert_eq!(decides(&node, "sales.orders.read").await, "not_entitled");
    let done = plan::migrate(&node.app, &ctx, &permit, key("offer"), options(false)).await.unwrap();
    assert!(done[0].applied);
    assert_eq!(decides(&node, "sales.orders.read").await, "allow");
    assert_eq!(decides(&node, "crm.contacts.read").await, "allow");
    assert!(plan::migrate(&node.app, &ctx, &permit, key("offer"), options(false)).await.unwrap().is_empty());
    // Gauges above the lower limit freeze growth; nothing is switched off.
    let refused =
        limit::consume(&node.app, &permit, node.toys(), key("users"), 1, None, node.now()).await.unwrap_err();
    assert_eq!((refused.kind, refused.reason), (ProblemKind::LimitReached, Some(Reason::LimitReached)));
    limit::consume(&node.app, &permit, node.toys(), key("users"), -4, None, node.now()).await.unwrap();
    let used =
        limit::consume(&node.app, &permit, node.toys(), key("users"), 1, None, node.now()).await.unwrap();
    assert_eq!((used.used, used.state), (5, LimitState::Reached));
    // Retired: those who have it keep it, nobody else gets it.
    plan::retire(&node.app, &ctx, &permit, key("offer"), 2, "no longer sold").await.unwrap();
    assert_eq!(decides(&node, "sales.orders.read").await, "allow");
    let refused = plan::publish(&node.app, &ctx, &permit, key("offer"), 2, "again").await.unwrap_err();
    assert_eq!(refused.kind, ProblemKind::InUse);
    recorded(&node, "plan.migrate").await;
});

both_engines!(two_who_consume_at_once_never_exceed_a_hard_limit, async |db: TestDatabase| {
    let node = company(&db).await;
    let permit = node.permit(node.app.platform()).await;
    let (app, toys, now) = (&node.app, node.toys(), node.now());
    let draft = LimitDraft {
        limit: key("warehouses"),
        mode: LimitMode::Set,
        value: Some(7),
        enforcement: Enforcement::Hard,
        window: Window::ALWAYS,
        reason: "agreed".to_owned(),
    };
    limit::put_override(app, &node.operator(), &permit, toys, apply(), draft).await.unwrap();
    let all = futures(12, || limit::consume(app, &permit, toys, key("warehouses"), 1, None, now)).await;
    let done = all.iter().filter(|result| result.is_ok()).count();
    assert_eq!(done, 7);
    assert!(all.iter().filter_map(|it| it.as_ref().err()).all(|it| it.kind == ProblemKind::LimitReached));
    let answer = limit::check(app, toys, &key("warehouses"), 1, now).await.unwrap();
    assert_eq!((answer.allowed, answer.reason, answer.used), (false, Some(Reason::LimitReached), 7));
    assert!(limit::check(app, toys, &key("warehouses"), 0, now).await.unwrap().allowed);
    // Soft and report go on beyond it.
    for enforcement in [Enforcement::Soft, Enforcement::Report] {
        let draft = LimitDraft {
            limit: key("warehouses"),
            mode: LimitMode::Set,
            value: Some(7),
            enforcement,
            window: Window::ALWAYS,
            reason: "agreed".to_owned(),
        };
        limit::put_override(app, &node.operator(), &permit, toys, apply(), draft).await.unwrap();
        assert!(limit::consume(app, &permit, toys, key("warehouses"), 1, None, now).await.is_ok());
        assert!(limit::check(app, toys, &key("warehouses"), 1, now).await.unwrap().allowed);
    }
    // The same use by its key counts once.
    let key_of_use = Some("order-17".to_owned());
    let first =
        limit::consume(app, &permit, toys, key("warehouses"), 1, key_of_use.clone(), now).await.unwrap();
    let again = limit::consume(app, &permit, toys, key("warehouses"), 1, key_of_use, now).await.unwrap();
    assert_eq!((first.used, first.repeated, again.used, again.repeated), (10, false, 10, true));
    let gone = limit::delete_override(
        app,
        &node.operator(),
        &permit,
        toys,
        apply(),
        (key("warehouses"), None),
        "over",
    )
    .await;
    assert_eq!(gone.unwrap().value.len(), 1);
    recorded(&node, "limit.override_remove").await;
});

/// Runs the same thing several times at once.
async fn futures<T, F: Future<Output = T>>(count: usize, make: impl Fn() -> F) -> Vec<T> {
    let mut running: Vec<_> = (0..count).map(|_| Box::pin(make())).collect();
    let mut done: Vec<Option<T>> = (0..count).map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (slot, one) in done.iter_mut().zip(&mut running) {
            if slot.is_none()
                && let std::task::Poll::Ready(value) = one.as_mut().poll(context)
            {
                *slot = Some(value);
            }
        }
        if done.iter().all(Option::is_some) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done.into_iter().map(Option::unwrap).collect()
}

both_engines!(usage_is_counted_once_by_month_and_a_gauge_takes_the_newest_count, async |db: TestDatabase| {
    let node = company(&db).await;
    let permit = node.permit(node.app.platform()).await;
    subscribe(&node, to_plan("starter", When::Auto)).await.unwrap();
    let now = node.now();
    let event = |key_text: &str, limit: &str, amount: i64, at: Timestamp| UsageEvent {
        key: key_text.to_owned(),
        limit: key(limit),
        amount,
        at,
    };
    let batch = vec![
        event("i-1", "invoices_posted", 600, now),
        event("i-2", "invoices_posted", 500, now),
        event("i-0", "invoices_posted", 9, now.plus_seconds(-40 * DAY)),
        event("p-2", "products", 40, now),
        event("p-1", "products", 90, now.plus_seconds(-60)),
    ];
    let done = limit::record_usage(&node.app, &permit, node.toys(), batch.clone(), now).await.unwrap();
    assert_eq!((done.counted, done.repeated), (5, 0));
    assert_eq!(
        done.reached,
        [(key("invoices_posted"), 1_100)],
        "beyond a soft limit, and counted all the same"
    );
    let again = limit::record_usage(&node.app, &permit, node.toys(), batch, now).await.unwrap();
    assert_eq!((again.counted, again.repeated), (0, 5));
    let limits = limit::of_organization(&node.app, node.toys(), now).await.unwrap();
    let of = |name: &str| limits.iter().find(|it| it.limit.key == key(name)).unwrap();
    assert_eq!((of("invoices_posted").used, of("invoices_posted").state), (1_100, LimitState::Beyond));
    assert_eq!(of("invoices_posted").period_start, Some(limit::month_start(now)));
    assert_eq!((of("products").used, of("products").effective.value), (40, None));
    assert_eq!(limit::usage(&node.app, node.toys()).await.unwrap().len(), 3);
    // The next month begins at nothing.
    node.clock.forward(31 * DAY);
    let limits = limit::of_organization(&node.app, node.toys(), node.now()).await.unwrap();
    assert_eq!(limits.iter().find(|it| it.limit.key == key("invoices_posted")).unwrap().used, 0);
    assert_eq!(limits.iter().find(|it| it.limit.key == key("products")).unwrap().used, 40);
    let wrong = vec![event("x", "nothing", 1, node.now())];
    let refused = limit::record_usage(&node.app, &permit, node.toys(), wrong, node.now()).await.unwrap_err();
    assert_eq!(refused.fields[0].field, "events.0.limit");
    node.clock.forward(100 * DAY);
    assert_eq!(plan::forget_usage_events(&node.app).await.unwrap(), 5);
});

both_engines!(
    taking_the_legacy_document_over_twice_writes_once_and_truncating_brings_it_back,
    async |db: TestDatabase| {
        let node = company(&db).await;
        let permit = node.permit(node.app.platform()).await;
        let (app, ctx) = (&node.app, node.operator());
        legacy(&node, r#"{"CRM": true, "leads": false, "Human_Resources": "on", "warp": 1}"#).await;
        put(&node, "sales", None, OverrideKind::Enabled, Window::ALWAYS).await.unwrap();
        let tried =
            entitlement::migrate_legacy(app, &ctx, &permit, node.toys(), true, "going over").await.unwrap();
        assert!(!tried.wrote);
        assert_eq!(tried.value.enabled, [key("crm"), key("hr")]);
        let done =
            entitlement::migrate_legacy(app, &ctx, &permit, node.toys(), false, "going over").await.unwrap();
        assert!(done.wrote);
        let report = done.value;
        assert_eq!(report.enabled, [key("crm"), key("hr")]);
        assert_eq!(report.kept, [key("sales")]);
        assert_eq!(report.folded_twice, [key("crm")]);
        assert_eq!(report.unknown, ["warp"]);
        assert!(report.disabled.contains(&key("finance")) && !report.disabled.contains(&key("admin")));
        let again = entitlement::migrate_legacy_all(app, &ctx, &permit, false, "going over").await.unwrap();
        assert_eq!(again.len(), 2, "toys and trade");
        let toys = again.iter().find(|it| it.value.organization == node.toys()).unwrap();
        assert!(!toys.wrote && toys.value.enabled.is_empty() && toys.value.disabled.is_empty());
        // The document no longer decides.
        legacy(&node, r#"["finance"]"#).await;
        assert_eq!(decides(&node, "crm.leads.read").await, "allow");
        assert_eq!(decides(&node, "finance.accounts.read").await, "not_entitled");
        let truncate = async |options, all| {
            let reason = "the takeover went wrong";
            entitlement::truncate(app, &ctx, &permit, node.toys(), options, all, reason).await.unwrap()
        };
        let tried = truncate(dry_run(), false).await;
        assert_eq!(decides(&node, "crm.leads.read").await, "allow", "nothing was written");
        let gone = truncate(apply(), false).await;
        assert!(gone.wrote && gone.value.modules > 10 && gone.value == tried.value);
        let mut turned: Vec<(&str, bool)> =
            gone.value.changes.iter().map(|it| (it.module.as_str(), it.on)).collect();
        turned.sort_unstable();
        assert_eq!(turned, [("crm", false), ("finance", true), ("hr", false)]);
        // A row by hand is no row of the takeover, and stays.
        assert_eq!(decides(&node, "sales.orders.read").await, "allow");
        assert!(!truncate(apply(), false).await.wrote, "again changes nothing");
        let rest = truncate(apply(), true).await;
        assert_eq!((rest.value.modules, rest.value.changes.len()), (1, 1));
        assert!(!truncate(apply(), true).await.wrote);
        assert_eq!(decides(&node, "crm.leads.read").await, "not_entitled");
        assert_eq!(decides(&node, "finance.accounts.read").await, "allow");
        assert_eq!(decides(&node, "sales.orders.read").await, "not_entitled");
        // What cannot be read is reported and left for mending.
        legacy(&node, "{not json").await;
        let report =
            entitlement::migrate_legacy(app, &ctx, &permit, node.toys(), false, "again").await.unwrap();
        assert!(!report.wrote && report.value.unreadable);
        assert_eq!(decides(&node, "finance.accounts.read").await, "not_entitled");
        recorded(&node, "entitlement.truncate").await;
        recorded(&node, "entitlement.migrate").await;
    }
);

both_engines!(a_scheduled_plan_freezes_nothing_before_it_begins, async |db: TestDatabase| {
    let node = company(&db).await;
    legacy(&node, r#"["finance", "inventory"]"#).await;
    let value = || async {
        let limits = limit::of_organization(&node.app, node.toys(), node.now()).await.unwrap();
        limits.into_iter().find(|it| it.limit.key == key("warehouses")).unwrap().effective.value
    };
    assert_eq!(value().await, None);
    subscribe(&node, to_plan("starter", When::At(node.now().plus_seconds(10 * DAY)))).await.unwrap();
    assert_eq!(value().await, None);
    let done = limit::check(&node.app, node.toys(), &key("warehouses"), 50, node.now()).await.unwrap();
    assert!(done.allowed, "{done:?}");
    node.clock.forward(10 * DAY);
    assert!(value().await.is_some());
    assert_eq!(plan::sweep(&node.app).await.unwrap().begun, 1);
    assert!(value().await.is_some());
});

both_engines!(two_who_change_at_once_lose_nothing, async |db: TestDatabase| {
    let node = company(&db).await;
    let (one, two) = tokio::join!(
        put(&node, "crm", None, OverrideKind::Enabled, Window::ALWAYS),
        put(&node, "hr", None, OverrideKind::Enabled, Window::ALWAYS)
    );
    one.unwrap();
    two.unwrap();
    assert_eq!(decides(&node, "crm.leads.read").await, "allow");
    assert_eq!(decides(&node, "hr.employees.read").await, "allow");
    let rows = entitlement::rows(&node.app, node.toys()).await.unwrap();
    assert_eq!(rows.rows.len(), 2);
    assert_eq!(entitlement::verify(&node.app, node.toys()).await.unwrap().events, 2);
});

both_engines!(an_event_that_was_changed_shows_in_its_chain, async |db: TestDatabase| {
    let node = company(&db).await;
    for module in ["crm", "hr", "sales"] {
        put(&node, module, None, OverrideKind::Enabled, Window::ALWAYS).await.unwrap();
    }
    let whole = entitlement::verify(&node.app, node.toys()).await.unwrap();
    assert!(whole.faults.is_empty() && whole.events == 3 && whole.seq == 3);
    let done: Result<u64, charter_db::Error> = node
        .app
        .database()
        .write(Scope::Installation, move |tx: &mut Tx| {
            Box::pin(async move {
                tx.execute(
                    &Statement::new("update entitlement_events set reason = 'a better one' where seq = 2"),
                    &[],
                )
                .await
            }) as BoxFuture<'_, _>
        })
        .await;
    assert_eq!(done.unwrap(), 1);
    let broken = entitlement::verify(&node.app, node.toys()).await.unwrap();
    assert_eq!(broken.faults, ["event 2: was changed: its hash does not fit its text"]);
});

/// A small generator, so that a failure repeats.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn time(&mut self) -> Option<Timestamp> {
        (self.below(3) > 0).then(|| Timestamp::from_seconds(100 + self.below(8) as i64 * 10))
    }
}

fn random_row(dice: &mut Dice, index: &Index) -> EntitlementFact {
    let modules = [key("crm"), key("finance")];
    let module = modules[dice.below(2) as usize].clone();
    let parts = &index.catalogue().module(module.as_str()).unwrap().submodules;
    let submodule = (dice.below(2) == 0).then(|| parts[dice.below(parts.len() as u64) as usize].0.clone());
    let from = dice.time();
    let to = dice.time();
    let window = Window::new(from, to).unwrap_or(Window::new(from, None).unwrap());
    let grace = window.to().filter(|_| dice.below(2) == 0).map(|to| to.plus_seconds(15));
    EntitlementFact {
        module,
        submodule,
        source: dice.pick(&[EntitlementSource::Plan, EntitlementSource::Trial, EntitlementSource::Override]),
        source_id: dice.pick(&["", "1"]).to_owned(),
        status: dice.pick(&[
            EntitlementStatus::Enabled,
            EntitlementStatus::Enabled,
            EntitlementStatus::Disabled,
            EntitlementStatus::Blocked,
            EntitlementStatus::Preview,
        ]),
        window,
        grace_until: grace,
        read_only_until: window.to().filter(|_| dice.below(2) == 0).map(|to| to.plus_seconds(35)),
        reason: String::new(),
    }
}

fn bare_facts(ann: PrincipalId) -> OrganizationFacts {
    OrganizationFacts {
        organization: OrganizationFact {
            id: OrganizationId(1),
            key: key("toys"),
            name: "Toys".to_owned(),
            kind: OrganizationKind::Customer,
            status: OrganizationStatus::Active,
            enabled_modules: None,
            revision: Revision(1),
            assertable: Vec::new(),
        },
        members: vec![MemberFact {
            principal: ann,
            kind: PrincipalKind::User,
            login: "ann@toys.example".to_owned(),
            name: "Ann".to_owned(),
            status: PrincipalStatus::Active,
            account_status: PrincipalStatus::Active,
            window: Window::ALWAYS,
            attributes: "{}".to_owned(),
        }],
        teams: Vec::new(),
        roles: Vec::new(),
        assignments: vec![AssignmentFact {
            id: AssignmentId(3),
            role: key("org_admin"),
            subject: Subject::Principal(ann),
            window: Window::ALWAYS,
            condition: None,
        }],
        grants: Vec::new(),
        blocks: Vec::new(),
        conditions: Vec::new(),
        resources: Vec::new(),
        entitlements: Vec::new(),
        previews: Vec::new(),
        subscriptions: Vec::new(),
        limit_overrides: Vec::new(),
    }
}

#[test]
fn what_the_list_says_is_what_the_engine_decides() {
    let index = Arc::new(Index::new(&charter_catalogue::shipped().unwrap()).unwrap());
    let ann = PrincipalId(2);
    let mut dice = Dice(7);
    for world in 0..400 {
        let mut facts = bare_facts(ann);
        facts.organization.enabled_modules = (dice.below(3) == 0).then(|| r#"["crm"]"#.to_owned());
        for _ in 0..dice.below(6) {
            let row = random_row(&mut dice, &index);
            let same = |it: &EntitlementFact| {
                (&it.module, &it.submodule, it.source, &it.source_id)
                    == (&row.module, &row.submodule, row.source, &row.source_id)
            };
            if !facts.entitlements.iter().any(same) {
                facts.entitlements.push(row);
            }
        }
        if dice.below(3) == 0 {
            facts.previews.push(PreviewFact { module: key("crm"), principal: ann });
        }
        let shard = Shard::compile(&index, &facts, &Interner::new()).unwrap();
        let standings = Standings::new(&facts, &index);
        for second in [0, 100, 105, 120, 135, 150, 170, 185, 230] {
            let now = Timestamp::from_seconds(second);
            for permission in &index.catalogue().permissions {
                let module = index.catalogue().module(permission.code.module()).unwrap();
                if module.scope == ModuleScope::System {
                    continue;
                }
                let decision = shard.decide(&Check {
                    subject: ann,
                    permission: index.permission(permission.code.as_str()).unwrap(),
                    minimum_level: None,
                    resource: None,
                    now,
                    context: &Context::default(),
                    ceiling: None,
                });
                let standing = standings.submodule(module, &permission.submodule, now);
                let listed = standings.is_previewed(&module.key, ann);
                let passes = standing.allows(Some(permission.code.action()), listed);
                let engine = decision.is_allow() || decision.reason == Reason::NoGrant;
                assert_eq!(
                    passes, engine,
                    "world {world}, {second} s, {}: {standing:?} {decision:?}",
                    permission.code
                );
                if !passes && standing.access == Access::Denied && decision.reason != Reason::PreviewOnly {
                    assert_eq!(
                        standing.reason,
                        decision.reason.as_str(),
                        "world {world}, {second} s, {}",
                        permission.code
                    );
                }
                if passes {
                    assert_eq!(
                        standing.access == Access::Grace,
                        decision.in_grace || !decision.is_allow() && standing.access == Access::Grace
                    );
                }
            }
        }
    }
}
