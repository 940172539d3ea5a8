//! The pages of this service: what they run, where they lead, and what their scripts ask are routes of the table.

use super::{PAT, Story, Told, Who};
use charter_api::edge::Guard;
use charter_app::mail::Way;
use charter_testkit::both_engines;
use charter_testkit::database::TestDatabase;
use http::{Method, StatusCode};
use serde_json::json;
use std::collections::BTreeSet;

/// What stands between a beginning and the next of the ends.
fn all<'a>(text: &'a str, begin: &str, ends: &[char]) -> Vec<&'a str> {
    let rests = text.match_indices(begin).filter_map(|(at, _)| text.get(at + begin.len()..));
    rests.filter_map(|rest| rest.find(ends).and_then(|end| rest.get(..end))).collect()
}

/// Every page and script that anybody may open, with its path.
async fn opened(story: &Story, kind: &str) -> Vec<(String, Told)> {
    let mut found = Vec::new();
    for route in charter_api::routes().iter() {
        let is_open = route.method() == Method::GET && matches!(route.guard(), Guard::Public(_));
        if !is_open || route.path().contains('{') || route.path().starts_with("/oauth/authorize") {
            continue;
        }
        let told = story.get(Who::Nobody, route.path()).await;
        let is_kind = told
            .headers
            .get("content-type")
            .is_some_and(|value| value.as_bytes().starts_with(kind.as_bytes()));
        if told.status == StatusCode::OK && is_kind {
            found.push((route.path().to_owned(), told));
        }
    }
    found
}

fn paths() -> BTreeSet<String> {
    let routes = charter_api::routes();
    routes.iter().filter(|route| route.method() == Method::GET).map(|route| route.path().to_owned()).collect()
}

both_engines!(
    /// Attacks 47, 50 and 51.
    every_page_runs_our_scripts_alone_and_leads_to_what_there_is,
    async |database| {
        let story = Story::empty(database).await;
        let (known, pages) = (paths(), opened(&story, "text/html").await);
        for path in ["/sign-in", "/forgot-password", "/reset-password", "/account", "/account/sessions", "/email"] {
            assert!(pages.iter().any(|(found, _)| found == path), "{path}");
        }
        for (path, told) in pages {
            let (text, policy) = (told.body.as_str().unwrap(), told.header("content-security-policy"));
            assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{path}");
            assert!(!policy.contains("unsafe"), "{path}: {policy}");
            for inline in ["<script>", "<style", " style=", " onclick=", " onload=", "javascript:"] {
                assert!(!text.contains(inline), "{path}: {inline}");
            }
            assert!(text.contains("<html lang=\"en\">") && text.contains("<main") && text.matches("<h1>").count() == 1, "{path}");
            for input in all(text, "<input id=\"", &['"']) {
                let is_hidden = text.contains(&format!("<input id=\"{input}\" type=\"email\" autocomplete=\"username\" aria-hidden"));
                assert!(is_hidden || text.contains(&format!("for=\"{input}\"")), "{path}: {input} has no label");
            }
            for to in all(text, "href=\"/", &['"', '#']).into_iter().chain(all(text, "src=\"/", &['"'])) {
                assert!(known.contains(&format!("/{to}")), "{path} leads to /{to}");
            }
        }
    }
);

both_engines!(scripts_of_pages_ask_routes_that_there_are_and_write_no_markup, async |database| {
    let story = Story::empty(database).await;
    let (known, routes) = (paths(), charter_api::routes());
    let asked: BTreeSet<String> =
        routes.iter().map(|route| format!("{} {}", route.method(), route.path())).collect();
    let scripts = opened(&story, "text/javascript").await;
    assert!(scripts.len() > 10);
    for (path, told) in scripts {
        let text = told.body.as_str().unwrap();
        for bad in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style."] {
            assert!(!text.contains(bad), "{path}: {bad}");
        }
        for from in all(text, "from \"", &['"']) {
            assert!(known.contains(from), "{path} takes {from}");
        }
        for call in text.split("ask(\"").skip(1) {
            let (method, rest) = call.split_once("\", ").unwrap();
            let to = rest.get(1..).unwrap().split(['"', '`']).next().unwrap();
            if to.starts_with("/api/") {
                assert!(
                    asked.iter().any(|route| is_of(&format!("{method} {to}"), route)),
                    "{path}: {method} {to}"
                );
            }
        }
    }
});

/// Whether a route is what a script asks; a value stands where the table has a name.
fn is_of(call: &str, route: &str) -> bool {
    let (call, route): (Vec<_>, Vec<_>) = (call.split('/').collect(), route.split('/').collect());
    let is_part =
        |(one, other): (&&str, &&str)| one == other || (one.starts_with("${") && other.starts_with('{'));
    call.len() == route.len() && call.iter().zip(&route).all(is_part)
}

async fn is_told(database: TestDatabase, way: Way, said: &str) {
    let story = Story::empty_with(database, way).await;
    story.hire("platform", PAT).await;
    let mut told = Vec::new();
    for email in ["pat@platform.example", "nobody@nowhere.example"] {
        let answer =
            story.post(Who::Nobody, "/api/v1/auth/forgot-password", json!({"email": email})).await.is(202);
        told.push(answer.body["detail"].as_str().unwrap().to_owned());
    }
    assert!(told[0].contains(said) && told[0] == told[1], "{told:?}");
}

both_engines!(whoever_forgot_their_password_is_told_that_a_mail_comes, async |database| {
    is_told(database, Way::Sent, "a mail is on its way to it").await;
});

both_engines!(whoever_forgot_their_password_is_told_where_mail_is_kept, async |database| {
    is_told(database, Way::Kept, "no mail server is configured").await;
});

both_engines!(whoever_forgot_their_password_is_told_that_no_mail_comes, async |database| {
    is_told(database, Way::Waits, "ask whoever runs it to set a new password for you").await;
});

both_engines!(a_browser_is_led_to_the_account_and_told_where_there_is_nothing, async |database| {
    let story = Story::empty(database).await;
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let told = story.send(Who::Nobody, Method::GET, "/", &browser, None).await.is(303);
    assert_eq!(told.header("location"), "/account");
    let told = story.send(Who::Nobody, Method::GET, "/nothing-here", &browser, None).await.is(404);
    assert!(told.body.as_str().unwrap().contains("There is no such page"));
    assert!(told.header("content-security-policy").starts_with("default-src 'none'; style-src 'self';"));
    assert_eq!(told.header("x-content-type-options"), "nosniff");
    for path in ["/", "/nothing-here"] {
        story.get(Who::Nobody, path).await.is_problem(404, "not-found");
        story.send(Who::Nobody, Method::POST, path, &browser, None).await.is_problem(404, "not-found");
    }
});
