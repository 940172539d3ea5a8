//! Refresh tokens over HTTP: tabs, thieves, idle and absolute ends.

use super::auth::{PASSWORD, token_of};
use super::mail::Postbox;
use super::{Story, Told, Who};
use charter_testkit::both_engines;
use http::Method;
use serde_json::{Value, json};

const REFRESH: &str = "/api/v1/auth/refresh";

fn refresh_of(told: &Told) -> String {
    told.body["refresh_token"].as_str().unwrap().to_owned()
}

impl Story {
    async fn refresh(&self, token: &str) -> Told {
        self.wire(Method::POST, REFRESH, &[], Some("192.0.2.1"), Some(json!({"refresh_token": token}))).await
    }

    async fn is_in(&self, token: &str) -> bool {
        self.with_token(token, Method::GET, "/api/v1/me", None).await.status.as_u16() == 200
    }

    async fn events(&self, action: &str) -> usize {
        let path = format!("/api/v1/organizations/toys/audit/events?action={action}");
        self.all(Who::Operator, &path, 100, "/target").await.len()
    }
}

both_engines!(a_refresh_token_gives_the_next_access_token, async |database| {
    let story = Story::with_password(database).await;
    let begun = story.log_in("ann@toys.example", PASSWORD).await.is(200);
    let first = refresh_of(&begun);
    assert_eq!((first.len(), &first[..9]), (72, "chr_test_"));
    assert!(!story.is_in(&first).await, "it is no access token");
    let (mut token, mut refresh) = (token_of(&begun), first.clone());
    let trail = story.events("session.begin").await;
    for _ in 0..20 {
        story.wait_seconds(900).await;
        assert!(!story.is_in(&token).await);
        let told = story.refresh(&refresh).await.is(200);
        assert_eq!(told.header("cache-control"), "no-store");
        assert_eq!(told.body["session_id"], begun.body["session_id"]);
        assert_ne!(refresh_of(&told), refresh);
        (token, refresh) = (token_of(&told), refresh_of(&told));
        assert!(story.is_in(&token).await);
    }
    assert_eq!(story.events("session.begin").await, trail, "a refresh begins nothing");
    let listed = story.with_token(&token, Method::GET, "/api/v1/me/sessions", None).await.is(200);
    assert_eq!(listed.body["items"][0]["last_used_at"], "2027-01-15T13:00:00Z");
});

both_engines!(
    /// Attack 27.
    tabs_that_refresh_at_once_get_the_same_successor,
    async |database| {
        let story = Story::with_password(database).await;
        let begun = story.log_in("ann@toys.example", PASSWORD).await.is(200);
        story.wait_seconds(600).await;
        let token = refresh_of(&begun);
        let tabs = futures_util::future::join_all((0..10).map(|_| story.refresh(&token))).await;
        let successors: Vec<String> = tabs.into_iter().map(|told| refresh_of(&told.is(200))).collect();
        assert!(successors.iter().all(|next| *next == successors[0]));
        story.wait_seconds(19).await;
        let late = story.refresh(&token).await.is(200);
        assert_eq!(refresh_of(&late), successors[0]);
        let sessions = story.with_token(&token_of(&late), Method::GET, "/api/v1/me/sessions", None).await.is(200);
        assert_eq!(sessions.body["items"].as_array().unwrap().len(), 1);
        story.refresh(&successors[0]).await.is(200);
    }
);

both_engines!(
    /// Attack 28.
    a_token_that_comes_again_later_ends_the_session,
    async |database| {
        let story = Story::with_password(database).await;
        let stolen = refresh_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
        let owner = story.refresh(&stolen).await.is(200);
        story.wait_seconds(60).await;
        assert!(story.is_in(&token_of(&owner)).await);
        story.refresh(&stolen).await.is_problem(401, "unauthenticated");
        assert!(!story.is_in(&token_of(&owner)).await, "nobody knows which of the two is the thief");
        story.refresh(&refresh_of(&owner)).await.is_problem(401, "unauthenticated");
        assert_eq!(story.events("session.reuse").await, 1);
        story.refresh(&stolen).await.is(401);
        assert_eq!(story.events("session.reuse").await, 1, "it is told once");
        let letters = Postbox::new().empty(&story.app).await;
        let ended = letters.iter().filter(|letter| letter.subject == "A session of yours was ended");
        let readers: Vec<&str> = ended.map(|letter| letter.recipient.as_str()).collect();
        assert_eq!(readers, ["ann@toys.example"], "so is its owner");
    }
);

both_engines!(
    /// Attack 29.
    a_token_two_behind_ends_the_session_at_once,
    async |database| {
        let story = Story::with_password(database).await;
        let old = refresh_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
        let one = refresh_of(&story.refresh(&old).await.is(200));
        let two = story.refresh(&one).await.is(200);
        story.refresh(&old).await.is(401);
        assert!(!story.is_in(&token_of(&two)).await);
        assert_eq!(story.events("session.reuse").await, 1);
    }
);

both_engines!(
    /// Attack 30: the session does not notice.
    a_forged_refresh_token_is_refused_and_ends_nothing,
    async |database| {
        let story = Story::with_password(database).await;
        let begun = story.log_in("ann@toys.example", PASSWORD).await.is(200);
        let good = refresh_of(&begun);
        let mut details = Vec::new();
        for at in [9, 15, 20, 22, 30, 50, 64, 66, 71] {
            let mut forged = good.clone().into_bytes();
            forged[at] = if forged[at] == b'7' { b'8' } else { b'7' };
            let told = story.refresh(&String::from_utf8(forged).unwrap()).await;
            details.push(told.is_problem(401, "unauthenticated").body["detail"].clone());
        }
        for bad in ["", "chr_live_", &token_of(&begun), &"x".repeat(8_000)] {
            details.push(story.refresh(bad).await.is_problem(401, "unauthenticated").body["detail"].clone());
        }
        assert!(details.iter().all(|detail| *detail == details[0]));
        assert_eq!(story.events("session.reuse").await, 0);
        story.refresh(&good).await.is(200);
    }
);

both_engines!(
    /// Attack 32: a refresh says nothing but its token.
    nothing_is_widened_at_refresh,
    async |database| {
        let story = Story::with_password(database).await;
        let token = refresh_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
        for (field, value) in [("organization", json!("trade")), ("scope", json!("*")), ("session", json!("cookie"))] {
            let mut body = json!({"refresh_token": token});
            body[field] = value;
            story.wire(Method::POST, REFRESH, &[], None, Some(body)).await.is(422);
        }
        let told = story.refresh(&token).await.is(200);
        let toys = story.app.resolve_organization("toys").await.unwrap().to_string();
        assert_eq!(told.body["organization_id"], Value::String(toys));
    }
);

both_engines!(
    /// Attack 35.
    a_session_ends_when_it_rests_and_in_the_end_anyway,
    async |database| {
        let story = Story::with_password(database).await;
        let resting = refresh_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
        let mut used = refresh_of(&story.log_in("ann@toys.example", PASSWORD).await.is(200));
        story.wait_seconds(8 * 3_600 - 1).await;
        used = refresh_of(&story.refresh(&used).await.is(200));
        story.wait_seconds(1).await;
        story.refresh(&resting).await.is_problem(401, "unauthenticated");
        for _ in 0..94 {
            story.pass(7 * 3_600 + 1_800);
            used = refresh_of(&story.refresh(&used).await.is(200));
        }
        story.pass(7 * 3_600 + 1_800);
        story.refresh(&used).await.is_problem(401, "unauthenticated");
    }
);

both_engines!(
    /// Attack 33, and 14 for who refreshes: signed out, suspended, deleted is out.
    who_is_out_refreshes_no_more,
    async |database| {
        let story = Story::with_password(database).await;
        let begun = story.log_in("ann@toys.example", PASSWORD).await.is(200);
        let (token, refresh) = (token_of(&begun), refresh_of(&begun));
        story.with_token(&token, Method::POST, "/api/v1/auth/logout", None).await.is(204);
        assert!(!story.is_in(&token).await);
        story.refresh(&refresh).await.is(401);

        let begun = story.log_in("ann@toys.example", PASSWORD).await.is(200);
        let member = "/api/v1/organizations/toys/members/ann@toys.example";
        let says = |status: &str| json!({"account_status": status});
        story.hire_second_administrator().await;
        story.patch(Who::Operator, member, says("suspended")).await.is(200);
        story.refresh(&refresh_of(&begun)).await.is(401);
        assert!(!story.is_in(&token_of(&begun)).await);
        story.patch(Who::Operator, member, says("active")).await.is(200);
        assert!(!story.is_in(&token_of(&begun)).await, "the sessions ended with the account");
        story.refresh(&refresh_of(&begun)).await.is(401);
        story.log_in("ann@toys.example", PASSWORD).await.is(200);
    }
);

both_engines!(
    who_is_stopped_in_the_organization_of_a_session_refreshes_it_when_that_is_over,
    async |database| {
        let story = Story::with_password(database).await;
        let begun = story.log_in("ann@toys.example", PASSWORD).await.is(200);
        let member = "/api/v1/organizations/toys/members/ann@toys.example";
        story.hire_second_administrator().await;
        story.patch(Who::Operator, member, json!({"status": "suspended"})).await.is(200);
        story.refresh(&refresh_of(&begun)).await.is_problem(401, "unauthenticated");
        story.wait_seconds(31).await;
        assert!(!story.is_in(&token_of(&begun)).await);
        story.patch(Who::Operator, member, json!({"status": "active"})).await.is(200);
        let told = story.refresh(&refresh_of(&begun)).await.is(200);
        story.wait_seconds(31).await;
        assert!(story.is_in(&token_of(&told)).await);
    }
);

impl Story {
    /// Somebody else who can administer toys, so that ann may be suspended.
    pub async fn hire_second_administrator(&self) {
        self.assign(Who::Operator, "toys", super::CAT, "org_admin").await.is(201);
    }
}
