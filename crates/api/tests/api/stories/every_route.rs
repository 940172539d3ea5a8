//! Walks the route table: who is not signed in, who lacks the permission, and who belongs elsewhere get nowhere, and each refusal is
//! on the audit trail.

use super::{ANN, BOB, EVE, Story, Who};
use charter_api::edge::{Guard, Route};
use charter_testkit::both_engines;
use http::Method;
use serde_json::Value;
use std::collections::BTreeSet;

/// A path with something in each of its places.
pub fn filled(path: &str, organization: &str, value: impl Fn(&str) -> String) -> String {
    let part = |part: &str| match part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        None => part.to_owned(),
        Some("organization") => organization.to_owned(),
        Some(name) => value(name),
    };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// A value that has the form of whatever may be asked for.
fn some(name: &str) -> String {
    match name {
        "seq" | "version" | "pepper" | "run" => "1".to_owned(),
        "type" => "vouchers".to_owned(),
        _ => "0193e7a0-0000-7000-8000-000000000001".to_owned(),
    }
}

fn body_of(route: &Route) -> Option<Value> {
    let example = route.body_example().map_or_else(|| "{}".to_owned(), str::to_owned);
    route.takes_body().then(|| serde_json::from_str(&example).unwrap())
}

#[test]
fn the_route_table_has_no_fault() {
    assert_eq!(charter_api::routes().faults(), Vec::<String>::new());
}

/// Routes without a permission of their own are few; who adds one adds it here.
#[test]
fn routes_open_to_anybody_and_to_whoever_is_signed_in_are_these() {
    let routes = charter_api::routes();
    for route in &routes {
        match route.guard() {
            Guard::Public(_) => assert!(OPEN.contains(&route.name()), "{route:?}"),
            Guard::SignedIn(_) => assert!(SIGNED_IN.contains(&route.name()), "{route:?}"),
            Guard::Permission(_) | Guard::PlatformPermission(_) => {}
        }
        if let Guard::Public(why) | Guard::SignedIn(why) = route.guard() {
            assert!(why.len() > 20, "{route:?} says why");
        }
    }
}

const OPEN: &[&str] = &[
    "auth.forgot-password",
    "auth.forgot-password.page",
    "auth.forgot-password.script",
    "auth.login",
    "auth.mfa",
    "auth.passkey",
    "auth.passkey-options",
    "auth.refresh",
    "auth.reset-password",
    "auth.reset-password.page",
    "auth.reset-password.script",
    "authzen.metadata",
    "authzen.organization-metadata",
    "email.page",
    "email.prove",
    "email.script",
    "email.undo",
    "invitations.accept",
    "invitations.look",
    "invitations.page",
    "invitations.script",
    "keys.public",
    "leaked-keys.report",
    "oauth.authorize",
    "oauth.authorize.answer",
    "oauth.authorize.script",
    "oauth.introspect",
    "oauth.logout",
    "oauth.logout.answer",
    "oauth.openid-configuration",
    "oauth.revoke",
    "oauth.server-metadata",
    "oauth.token",
    "pages.account",
    "pages.account.script",
    "pages.applications.script",
    "pages.factors",
    "pages.factors.script",
    "pages.own.script",
    "pages.password",
    "pages.password.script",
    "pages.proof.script",
    "pages.script",
    "pages.sessions",
    "pages.sessions.script",
    "pages.sign-in",
    "pages.sign-in.script",
    "registrations.ask",
    "registrations.page",
    "registrations.prove",
    "registrations.script",
    "service.alive",
    "service.docs",
    "service.docs.style",
    "service.openapi",
    "service.ready",
    "setup.complete",
];

const SIGNED_IN: &[&str] = &[
    "adoption.accounts",
    "adoption.answers",
    "adoption.former-logins",
    "adoption.held",
    "adoption.held.accounts",
    "adoption.kept-away",
    "adoption.organizations",
    "adoption.passwords",
    "adoption.proofs.check",
    "adoption.runs.begin",
    "adoption.runs.follow",
    "adoption.runs.list",
    "adoption.runs.proof",
    "adoption.runs.rows",
    "adoption.runs.show",
    "adoption.runs.step",
    "adoption.runs.undo",
    "adoption.users",
    "auth.exchange",
    "auth.logout",
    "auth.reauthenticate",
    "auth.switch",
    "authzen.evaluation",
    "authzen.evaluations",
    "authzen.organization-evaluation",
    "authzen.organization-evaluations",
    "authzen.organization-search-action",
    "authzen.organization-search-resource",
    "authzen.organization-search-subject",
    "authzen.search-action",
    "authzen.search-resource",
    "authzen.search-subject",
    "catalogue.show",
    "check",
    "check-batch",
    "entitlements.check",
    "entitlements.events",
    "entitlements.rows",
    "entitlements.show",
    "entitlements.verify",
    "limits.check",
    "limits.list",
    "list-resources",
    "me.accept-invitation",
    "me.add-passkey",
    "me.add-totp",
    "me.applications",
    "me.change-email",
    "me.change-password",
    "me.confirm-totp",
    "me.end-other-sessions",
    "me.end-session",
    "me.factors",
    "me.passkey-options",
    "me.permissions",
    "me.remove-factor",
    "me.renew-recovery-codes",
    "me.sessions",
    "me.show",
    "me.withdraw-application",
    "modules.list",
    "oauth.userinfo",
    "oauth.userinfo.post",
    "organizations.get",
    "permissions.all",
    "permissions.check",
    "permissions.me",
    "permissions.of-user",
    "shadow.flips",
    "shadow.list",
    "shadow.replay",
    "shadow.set",
    "shadow.show",
    "subscriptions.list",
    "usage.list",
    "users.import",
    "users.set-password",
    "what-can",
    "who-can",
];

both_engines!(nobody_unknown_gets_past_a_guard, async |database| {
    let story = Story::company(database).await;
    for route in &charter_api::routes() {
        if matches!(route.guard(), Guard::Public(_)) {
            continue;
        }
        let path = filled(route.path(), "toys", some);
        let told = story.send(Who::Nobody, route.method().clone(), &path, &[], body_of(route)).await;
        assert_eq!(told.status.as_u16(), 401, "{route:?}: {:#}", told.body);
        assert!(told.header("www-authenticate").starts_with("Bearer"), "{route:?}");
    }
});

both_engines!(nobody_without_the_permission_gets_past_a_guard_and_each_refusal_is_kept, async |database| {
    let story = Story::company(database).await;
    let (mut here, mut on_the_platform) = (BTreeSet::new(), BTreeSet::new());
    let revisions = (story.revision("toys").await, story.revision("platform").await);
    for route in &charter_api::routes() {
        let Some(code) = route.guard().permission() else { continue };
        let path = filled(route.path(), "toys", some);
        let told = story.send(BOB, route.method().clone(), &path, &[], body_of(route)).await;
        if matches!(route.guard(), Guard::PlatformPermission(_)) {
            // Bob is no member of the platform organization, and learns nothing of it.
            assert_eq!(told.status.as_u16(), 404, "{route:?}: {:#}", told.body);
            on_the_platform.insert(code.to_owned());
        } else {
            assert_eq!(told.status.as_u16(), 403, "{route:?}: {:#}", told.body);
            here.insert(code.to_owned());
        }
    }
    assert!(here.len() > 15 && on_the_platform.len() > 4);
    assert_eq!((story.revision("toys").await, story.revision("platform").await), revisions);
    story.app.flush_denials().await.unwrap();
    for (organization, codes) in [("toys", here), ("platform", on_the_platform)] {
        let path = format!("/api/v1/organizations/{organization}/audit/events?actor={}", story.id_of(BOB));
        let kept: BTreeSet<String> =
            story.all(Who::Operator, &path, 200, "/target").await.into_iter().collect();
        assert!(
            kept.is_superset(&codes),
            "{organization}: {:?} are not on the trail",
            codes.difference(&kept)
        );
    }
});

both_engines!(whoever_belongs_elsewhere_is_told_that_there_is_nothing, async |database| {
    let story = Story::company(database).await;
    let toys = story.app.resolve_organization("toys").await.unwrap().to_string();
    let revision = story.revision("toys").await;
    for route in &charter_api::routes() {
        let names_it = route.path_names().contains(&"organization");
        if matches!(route.guard(), Guard::Public(_)) || !(names_it || route.takes_organization_in_query()) {
            continue;
        }
        for organization in ["toys", &toys, "nowhere"] {
            let mut path = filled(route.path(), organization, some);
            if !names_it {
                path = format!("{path}?organization={organization}");
            }
            let told = story.send(EVE, route.method().clone(), &path, &[], body_of(route)).await;
            assert_eq!(told.status.as_u16(), 404, "{route:?} {path}: {:#}", told.body);
        }
    }
    assert_eq!(story.revision("toys").await, revision);
});

both_engines!(a_refusal_where_no_organization_is_does_not_stop_the_trail, async |database| {
    let story = Story::company(database).await;
    let nowhere = "/api/v1/organizations/0193e7a0-0000-7000-8000-000000000001";
    story.get(EVE, &format!("{nowhere}/members")).await.is(404);
    story.post(EVE, &format!("{nowhere}/checks"), serde_json::json!({"permission": "a.b.c"})).await.is(404);
    story.get(BOB, "/api/v1/organizations/toys/members").await.is(403);
    story.app.tick().await.unwrap();
    let path = "/api/v1/organizations/toys/audit/events?action=check.deny";
    assert_eq!(story.all(Who::Operator, path, 9, "/target").await, ["admin.users.read"]);
});

both_engines!(
    /// Attack 44: of the whole table nothing that reads writes.
    reading_changes_nothing,
    async |database| {
        let story = Story::company(database).await;
        let state = async || {
            let mut state = Vec::new();
            for organization in ["toys", "trade", "platform"] {
                let path = format!("/api/v1/organizations/{organization}/audit/verify");
                let verified = story.send(Who::Operator, Method::POST, &path, &[], None).await.is(200);
                state.push((story.revision(organization).await, verified.body["head"].clone()));
            }
            state
        };
        let before = state().await;
        let mut asked = 0;
        for route in charter_api::routes().iter().filter(|route| route.method() == Method::GET) {
            let path = filled(route.path(), "toys", some);
            for (who, method) in [(Who::Operator, Method::GET), (Who::Operator, Method::HEAD), (ANN, Method::GET)] {
                story.send(who, method, &path, &[], None).await;
                asked += 1;
            }
        }
        assert!(asked > 100, "{asked}");
        assert_eq!(state().await, before);
    }
);
