//! `charter entitlements truncate`: told module by module, meant, and done once.

use crate::program::Place;

fn taken_over(place: &Place) {
    place.run(&["migrate", "up"]).ended(0);
    place.run(&["organizations", "create", "--name", "Soft Toys", "--key", "toys"]).ended(0);
    place.run(&["organizations", "create", "--name", "Trade", "--key", "trade"]).ended(0);
    let document = |text: &str| {
        let body = format!("{{\"enabled_modules\": {text}}}");
        let put = ["organizations", "enabled-modules", "--org", "toys", "--body", "-"];
        place.feed(&put, &body).ended(0);
    };
    document(r#"{"crm": true}"#);
    place.run(&["entitlements", "migrate-legacy", "--reason", "going over"]).ended(0);
    document(r#"["finance"]"#);
}

fn usable(place: &Place, module: &str) -> bool {
    let own = place.run(&["entitlements", "show", "--org", "toys", "--json"]).ended(0).json();
    let modules = own["modules"].as_array().unwrap();
    modules.iter().find(|it| it["module"] == module).unwrap()["entitled"] == true
}

#[test]
fn rows_of_an_adoption_go_when_the_key_is_typed_and_the_document_decides_again() {
    let place = Place::new();
    taken_over(&place);
    assert!(usable(&place, "crm") && !usable(&place, "finance"));
    let truncate = ["entitlements", "truncate", "--org", "toys", "--reason", "it went wrong"];
    let tried = place.run(&[&truncate[..], &["--dry-run"]].concat()).ended(0);
    assert_eq!(tried.out, "toys: 13 rows go\n  on -> off  crm\n  off -> on  finance\nnothing was changed\n");
    for typed in ["trade\n", ""] {
        let refused = place.feed(&truncate, typed).ended(2);
        assert!(refused.err.contains("that is not toys: nothing was changed"), "{}", refused.err);
    }
    assert!(usable(&place, "crm"));
    place.feed(&truncate, "toys\n").ended(0);
    assert!(!usable(&place, "crm") && usable(&place, "finance"));
    let again = place.run(&truncate).ended(0);
    assert_eq!(again.out, "toys: there is nothing to take away\n");
    let trail = ["audit", "list", "--org", "toys", "--action", "entitlement.truncate", "--json"];
    let trail = place.run(&trail).ended(0).json();
    let events = trail["items"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["before"]["rows"].as_array().unwrap().len(), 13);
}

#[test]
fn every_organization_goes_back_in_one_command_and_again_changes_nothing() {
    let place = Place::new();
    taken_over(&place);
    let every = ["entitlements", "truncate", "--every-organization", "--all", "--reason", "it went wrong"];
    let refused = place.feed(&every, "toys\n").ended(2);
    assert!(refused.err.contains("that is not every organization"), "{}", refused.err);
    let done = place.run(&[&every[..], &["--yes", "--json"]].concat()).ended(0).json();
    let told: Vec<(&str, u64)> = done
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["organization"].as_str().unwrap(), it["result"]["modules"].as_u64().unwrap()))
        .collect();
    assert_eq!(told, [("toys", 13), ("trade", 13)]);
    let again = place.run(&every).ended(0);
    assert_eq!(again.out.matches("there is nothing to take away").count(), 2);
}
