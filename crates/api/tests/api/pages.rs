//! Lists, page by page.

use crate::fake::Service;
use serde_json::Value;

const TOYS: &str = "/api/v1/organizations/toys/toys";

fn cursor(page: &Value) -> String {
    page["next_cursor"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn walking_the_pages_gives_every_item_once() {
    let service = Service::default();
    let (mut names, mut query) = (Vec::new(), String::from("?limit=37"));
    loop {
        let page = service.ann("GET", &format!("{TOYS}{query}"), "").await.json();
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["name"].to_string()));
        if page["next_cursor"].is_null() {
            break;
        }
        query = format!("?limit=37&cursor={}", cursor(&page));
    }
    assert_eq!(names.len(), 120);
    assert!(names.is_sorted());
    let page = service.ann("GET", TOYS, "").await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 50, "the common limit");
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_only() {
    let service = Service::default();
    let page = service.ann("GET", &format!("{TOYS}?limit=10"), "").await.json();
    let good = cursor(&page);
    let status = |path: String| {
        let service = &service;
        async move { service.ann("GET", &path, "").await.status }
    };
    assert_eq!(status(format!("{TOYS}?cursor={good}")).await, 200, "the limit may change");
    assert_eq!(status(format!("{TOYS}?cursor={good}&colour=red")).await, 400, "other filters");
    assert_eq!(
        status(format!("/api/v1/organizations/trade/toys?cursor={good}")).await,
        400,
        "another organization"
    );
    for at in 0..good.len() {
        let mut letters: Vec<char> = good.chars().collect();
        letters[at] = if letters[at] == 'A' { 'B' } else { 'A' };
        let tampered: String = letters.into_iter().collect();
        assert_eq!(status(format!("{TOYS}?cursor={tampered}")).await, 400, "letter {at}");
    }
    for nonsense in ["", "a", "AAAAAAAAAAA", "%F0%9F%98%80", "..", &"A".repeat(2000)] {
        assert_eq!(status(format!("{TOYS}?cursor={nonsense}")).await, 400, "{nonsense}");
    }
}
