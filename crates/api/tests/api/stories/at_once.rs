//! Two at once, where the order in which they commit is what counts. On PostgreSQL both have done all they do but commit, or wait for each
//! other, before either commits; writers of SQLite take turns by themselves.

use super::auth::{PASSWORD, token_of};
use super::{ANN, BOB, Story, Told, Who};
use charter_db::{Engine, Error, Scope, Statement};
use charter_testkit::both_engines;
use http::Method;
use serde_json::json;
use std::time::Duration;
use tokio::sync::oneshot;

/// How often it is looked whether somebody waits, ten milliseconds apart: who was refused never will.
const LOOKS: usize = 100;

impl Story {
    /// Holds the heads of all trails: whoever is about to commit waits.
    async fn hold_trails(&self) -> oneshot::Sender<()> {
        const HEADS: Statement =
            Statement::new("select organization_id from audit_heads order by organization_id for update");
        let (free, freed) = oneshot::channel();
        let (ready, is_ready) = oneshot::channel();
        let database = self.app.database().clone();
        #[allow(clippy::disallowed_methods, reason = "somebody else's transaction is the story")]
        tokio::spawn(async move {
            database
                .write::<_, (), Error>(Scope::Installation, move |tx| {
                    Box::pin(async move {
                        tx.query(&HEADS, &[]).await?;
                        ready.send(()).unwrap();
                        // Whoever dropped it is done with it, too.
                        let _ = freed.await;
                        Ok(())
                    })
                })
                .await
                .unwrap();
        });
        is_ready.await.unwrap();
        free
    }

    /// Until so many wait for a lock.
    async fn until_waiting(&self, count: i64) {
        const WAITING: Statement = Statement::new(
            "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
        );
        for _ in 0..LOOKS {
            let row = self.app.database().query_one(Scope::Installation, &WAITING, &[]).await.unwrap();
            if row.get::<i64>(0).unwrap() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Has two do their work at once, the second a step behind the first.
    pub async fn at_once(
        &self,
        first: impl Future<Output = Told>,
        second: impl Future<Output = Told>,
    ) -> (Told, Told) {
        if self.app.database().engine() == Engine::Sqlite {
            return tokio::join!(first, second);
        }
        let free = self.hold_trails().await;
        let behind = async {
            self.until_waiting(1).await;
            second.await
        };
        let gate = async {
            self.until_waiting(2).await;
            free.send(()).unwrap();
        };
        let (first, second, ()) = tokio::join!(first, behind, gate);
        assert_eq!(first.status.as_u16(), 200, "the first is a step ahead");
        (first, second)
    }

    /// The same, with the one that leads said.
    pub async fn at_once_led(
        &self,
        by_first: bool,
        first: impl Future<Output = Told>,
        second: impl Future<Output = Told>,
    ) -> (Told, Told) {
        if by_first {
            return self.at_once(first, second).await;
        }
        let (second, first) = self.at_once(second, first).await;
        (first, second)
    }

    /// Whether what somebody was let in with lets them in.
    async fn lets_in(&self, told: &Told) -> bool {
        if told.status.as_u16() != 200 {
            return false;
        }
        self.with_token(&token_of(told), Method::GET, "/api/v1/me", None).await.status.as_u16() == 200
    }

    async fn set_account(&self, status: &str) -> Told {
        let body = json!({"account_status": status, "reason": "x"});
        self.patch(Who::Operator, "/api/v1/organizations/toys/members/ann@toys.example", body).await
    }
}

both_engines!(
    /// The session is written and not committed when the account is deactivated, or the other way around.
    no_session_that_begins_while_an_account_is_deactivated_comes_back_with_it,
    async |database| {
        let story = Story::with_password(database).await;
        story.assign(Who::Operator, "toys", BOB, "org_admin").await.is(201);
        for is_first in [true, false] {
            let (sign_in, off) = (story.log_in("ann@toys.example", PASSWORD), story.set_account("deactivated"));
            let (signed_in, off) = story.at_once_led(is_first, sign_in, off).await;
            off.is(200);
            story.set_account("active").await.is(200);
            story.wait_seconds(61).await;
            assert!(!story.lets_in(&signed_in).await, "{is_first}");
        }
    }
);

both_engines!(
    no_session_that_turns_to_an_organization_while_its_account_is_suspended_comes_back,
    async |database| {
        let story = Story::with_password(database).await;
        story.assign(Who::Operator, "toys", BOB, "org_admin").await.is(201);
        story.hire("trade", ANN).await;
        for is_first in [true, false] {
            let old = token_of(&story.log_in_to("ann@toys.example", "toys").await.is(200));
            let turn = story.with_token(
                &old,
                Method::POST,
                "/api/v1/auth/switch",
                Some(json!({"organization": "trade"})),
            );
            let (turned, off) = story.at_once_led(is_first, turn, story.set_account("suspended")).await;
            off.is(200);
            story.set_account("active").await.is(200);
            story.wait_seconds(61).await;
            assert!(!story.lets_in(&turned).await, "{is_first}");
            assert_eq!(story.with_token(&old, Method::GET, "/api/v1/me", None).await.status.as_u16(), 401);
        }
    }
);
