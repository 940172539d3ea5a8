use super::{ANN, BOB, Story};
use charter_testkit::both_engines;
use serde_json::{Value, json};

const CONDITIONS: &str = "/api/v1/organizations/toys/conditions";

both_engines!(a_condition_opens_and_closes_what_hangs_on_it, async |database| {
    let story = Story::company(database).await;
    let office = format!("{CONDITIONS}/office");
    let says = |ranges: Value| json!({"condition": {"form": "address", "ranges": ranges}});
    story.put(ANN, &office, says(json!(["10.0.0.0/8"]))).await.is(200);
    let body = json!({
        "subject": {"member": "bob@toys.example"}, "permission": "sales.invoices.read", "condition": "office", "reason": "on site",
    });
    let told = story.post(ANN, "/api/v1/organizations/toys/grants", body).await.is(201);
    assert_eq!(told.body["access_changes"][0]["conditional"], true);
    let from = async |address: &str| {
        let check = json!({"permission": "sales.invoices.read", "context": {"address": address}});
        story.decision("toys", BOB, check).await["reason"].clone()
    };
    assert_eq!(from("10.1.2.3").await, "granted_to_subject");
    assert_eq!(from("::ffff:10.1.2.3").await, "granted_to_subject");
    assert_eq!(from("192.0.2.7").await, "condition_not_met");
    assert!(!story.allows("toys", BOB, "sales.invoices.read").await);

    story.delete(ANN, &office).await.is_problem(409, "in-use");
    story.put(ANN, &office, says(json!(["192.0.2.0/24"]))).await.is(200);
    assert_eq!(from("192.0.2.7").await, "granted_to_subject");
    assert_eq!(from("10.1.2.3").await, "condition_not_met");
    assert_eq!(story.get(ANN, &office).await.is(200).body["condition"]["ranges"], json!(["192.0.2.0/24"]));
});

both_engines!(a_condition_that_cannot_be_evaluated_is_refused_when_it_is_written, async |database| {
    let story = Story::company(database).await;
    for condition in [
        json!({"form": "address", "ranges": ["10.0.0.0/99"]}),
        json!({"form": "hours", "zone": "Atlantis/Center", "from": "08:00", "to": "17:00"}),
        json!({"form": "hours", "zone": "Europe/Berlin", "from": "25:00", "to": "17:00"}),
        json!({"form": "between", "from": "2028-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"}),
        json!({"form": "cel", "expression": "resource.amount <"}),
        json!({"form": "team", "team": "nowhere"}),
        json!({"form": "magic"}),
        json!({"form": "owner", "extra": 1}),
        json!({"ranges": []}),
    ] {
        let told = story.put(ANN, &format!("{CONDITIONS}/c"), json!({"condition": condition})).await;
        assert_eq!(told.status.as_u16(), 422, "{condition} {:#}", told.body);
    }
    story.put(ANN, &format!("{CONDITIONS}/No%20Key"), json!({"condition": {"form": "owner"}})).await.is(404);
    assert!(story.all(ANN, CONDITIONS, 9, "/key").await.is_empty());
});

both_engines!(every_form_of_condition_is_kept_as_it_was_written, async |database| {
    let story = Story::company(database).await;
    let forms = [
        json!({"form": "between", "from": "2027-01-01T00:00:00Z"}),
        json!({"form": "hours", "zone": "Europe/Berlin", "weekdays": ["mon", "fri"], "from": "08:00", "to": "17:00"}),
        json!({"form": "address", "ranges": ["10.0.0.0/8", "2001:db8::/32"]}),
        json!({"form": "assurance", "mfa": true, "any_of": []}),
        json!({"form": "at_most", "of": "resource", "attribute": "amount", "limit": 1000}),
        json!({"form": "at_most", "of": "resource", "attribute": "amount", "limit": 0.5}),
        json!({"form": "equals", "of": "subject", "attribute": "department", "value": "sales"}),
        json!({"form": "one_of", "of": "context", "attribute": "channel", "values": ["web", 7, true]}),
        json!({"form": "owner"}),
        json!({"form": "all", "of": [{"form": "owner"}, {"form": "any", "of": [{"form": "owner"}]}]}),
        json!({"form": "cel", "expression": "resource.properties.amount < 1000"}),
    ];
    for (number, form) in forms.iter().enumerate() {
        let place = format!("{CONDITIONS}/c{number}");
        story.put(ANN, &place, json!({"condition": form})).await.is(200);
        assert_eq!(&story.get(ANN, &place).await.is(200).body["condition"], form);
        story.put(ANN, &place, json!({"condition": form})).await.is(200);
    }
    assert_eq!(story.all(ANN, CONDITIONS, 3, "/key").await.len(), forms.len());
    let before = story.revision("toys").await;
    story.put(ANN, &format!("{CONDITIONS}/c0"), json!({"condition": forms[0]})).await.is(200);
    assert_eq!(story.revision("toys").await, before, "the same again changes nothing");
    story.delete(ANN, &format!("{CONDITIONS}/c0")).await.is(200);
});

both_engines!(numbers_are_shown_as_people_write_them, async |database| {
    let story = Story::company(database).await;
    for (sent, shown) in [(json!(3.0), "3"), (json!(1e6), "1000000"), (json!(2.5), "2.5"), (json!(-0.0), "0")]
    {
        let form = json!({"form": "at_most", "of": "resource", "attribute": "amount", "limit": sent});
        let told = story.put(ANN, &format!("{CONDITIONS}/most"), json!({"condition": form})).await.is(200);
        assert_eq!(told.body["condition"]["condition"]["limit"].to_string(), shown);
        let form = json!({"form": "equals", "of": "resource", "attribute": "amount", "value": sent});
        story.put(ANN, &format!("{CONDITIONS}/same"), json!({"condition": form})).await.is(200);
        let told = story.get(ANN, &format!("{CONDITIONS}/same")).await.is(200);
        assert_eq!(told.body["condition"]["value"].to_string(), shown);
    }
});

both_engines!(a_condition_is_an_object_and_no_list, async |database| {
    let story = Story::company(database).await;
    let place = format!("{CONDITIONS}/listed");
    for form in [
        json!(["owner"]),
        json!(["team", "sales"]),
        json!({"form": "all", "of": [["owner"]]}),
        json!({"form": "any", "of": [{"form": "owner"}, {"form": "all", "of": [["team", "sales"]]}]}),
    ] {
        let told = story.put(ANN, &place, json!({"condition": form})).await.is_problem(422, "invalid");
        let detail = told.body["detail"].as_str().unwrap();
        assert!(detail.contains("is a list, expected an object with `form`"), "{detail}");
    }
    story.get(ANN, &place).await.is_problem(404, "not-found");
});

both_engines!(networks_are_read_by_one_rule_in_conditions_expressions_and_tokens, async |database| {
    let story = Story::company(database).await;
    let robot = json!({"login": "robot", "kind": "service_account"});
    story.post(ANN, "/api/v1/organizations/toys/members", robot).await.is(201);
    let tried = async |range: &str| {
        let form = json!({"form": "address", "ranges": [range]});
        let first = story.put(ANN, &format!("{CONDITIONS}/net"), json!({"condition": form})).await;
        let form = json!({"form": "cel", "expression": format!("in_range(context.ip, \"{range}\")")});
        let second = story.put(ANN, &format!("{CONDITIONS}/cel"), json!({"condition": form})).await;
        let token = json!({"account": "robot", "name": "x", "addresses": [range]});
        let third = story.post(ANN, "/api/v1/organizations/toys/service-tokens", token).await;
        [first, second, third]
    };
    for range in ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7", "192.0.2.7/32", "::1", "0.0.0.0/0"] {
        for told in tried(range).await {
            assert!(told.status.is_success(), "{range}: {:#}", told.body);
        }
    }
    for (range, right) in [
        ("10.0.0.1/8", "write 10.0.0.0/8, or 10.0.0.1 for the one address"),
        ("192.0.2.130/25", "write 192.0.2.128/25"),
        ("2001:db8::1/32", "write 2001:db8::/32"),
        ("10.0.0.0/33", "is no address range: write 10.0.0.0/8"),
        ("10.0.0.0/+8", "is no address range"),
        (" 10.0.0.0/8", "is no address range"),
        ("10.0.0", "is no address range"),
        ("", "is no address range"),
    ] {
        for told in tried(range).await {
            let told = told.is_problem(422, "invalid");
            assert!(told.body["detail"].as_str().unwrap().contains(right), "{range}: {:#}", told.body);
        }
    }
});

#[test]
fn the_document_lists_the_forms_the_kernel_reads() {
    let document = charter_api::routes().openapi();
    let forms = document["components"]["schemas"]["ConditionForm"]["oneOf"].as_array().unwrap();
    let listed: Vec<&str> =
        forms.iter().map(|form| form["properties"]["form"]["const"].as_str().unwrap()).collect();
    let unknown = serde_json::from_value::<charter_kernel::Condition>(json!({"form": "magic"})).unwrap_err();
    let expected: Vec<String> = listed.iter().map(|form| format!("`{form}`")).collect();
    assert!(unknown.to_string().ends_with(&expected.join(", ")), "{unknown} against {listed:?}");
    for form in forms {
        let mut example = json!({"form": form["properties"]["form"]["const"]});
        for name in form["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
            if name != "form" {
                example[name] = match name {
                    "ranges" | "values" => json!(["x"]),
                    "of" if form["properties"]["of"]["type"] == "array" => json!([{"form": "owner"}]),
                    "of" => json!("subject"),
                    "limit" => json!(1.0),
                    _ => json!("x"),
                };
            }
        }
        serde_json::from_value::<charter_kernel::Condition>(example.clone())
            .unwrap_or_else(|flaw| panic!("{example}: {flaw}"));
    }
}

both_engines!(two_methods_are_two_factors_when_one_is_known_and_the_other_held, async |database| {
    let story = Story::company(database).await;
    let strong = json!({"condition": {"form": "assurance", "mfa": true}});
    story.put(ANN, "/api/v1/organizations/toys/conditions/strong", strong).await.is(200);
    let grant = json!({
        "subject": {"member": "bob@toys.example"}, "permission": "sales.invoices.read", "condition": "strong", "reason": "at the till",
    });
    story.post(ANN, "/api/v1/organizations/toys/grants", grant).await.is(201);
    for (context, decision) in [
        (json!({"amr": ["pwd", "otp"]}), "allow"),
        (json!({"amr": ["mfa"]}), "allow"),
        (json!({"mfa": true}), "allow"),
        (json!({"amr": ["pwd", "legacy"]}), "deny"),
        (json!({"amr": ["pwd", "pin"]}), "deny"),
        (json!({"amr": ["pwd", "otp"], "mfa": false}), "deny"),
        (json!({"amr": []}), "deny"),
    ] {
        let asked = json!({"permission": "sales.invoices.read", "context": context});
        let told = story.decision("toys", BOB, asked).await;
        assert_eq!(told["decision"], decision, "{context}: {told:#}");
    }
});
