//! The export of a Keycloak realm.

use crate::shared::{codes, may, noted, rule};
use charter_adopt::anomaly::AnomalyKind;
use charter_adopt::source::keycloak;
use charter_adopt::source::{Heard, LoginRule, Wanted};

const REALM: &str = r#"{
  "realm": "toys", "enabled": true, "unheard": {"of": [1]},
  "roles": {
    "realm": [
      {"id": "1", "name": "default-roles-toys", "composite": true, "composites": {"realm": ["offline_access"], "client": {"account": ["view-profile"]}}},
      {"id": "2", "name": "offline_access", "composite": false},
      {"id": "3", "name": "boss", "composite": true, "composites": {"realm": ["clerk"]}},
      {"id": "4", "name": "clerk", "composite": true, "composites": {"realm": ["boss"], "client": {"erp": ["invoices.read"]}}},
      {"id": "5", "name": "auditor \"all\" 😀", "composites": null}
    ],
    "client": {
      "account": [{"name": "view-profile"}],
      "erp": [{"name": "invoices.read"}, {"name": "invoices.write"}],
      "erp.invoices": [{"name": "read"}],
      "empty": []
    }
  },
  "groups": [
    {"name": "staff", "path": "/staff", "realmRoles": ["offline_access"], "clientRoles": {}, "subGroups": [
      {"name": "a/b", "path": "/staff/a~/b", "clientRoles": {"erp": ["invoices.write"]}, "subGroups": [{"name": "deep", "realmRoles": ["clerk"]}]}
    ]}
  ],
  "users": [
    {"id": "u1", "username": "ann", "firstName": "Änn", "lastName": "O'Neil", "enabled": true, "realmRoles": ["default-roles-toys"], "groups": []},
    {"id": "u2", "username": "bob", "enabled": true, "groups": ["/staff/a~/b"]},
    {"id": "u3", "username": "cid", "enabled": true, "groups": ["/staff/a~/b/deep"], "credentials": [{"type": "otp"}]},
    {"id": "u4", "username": "off", "enabled": false, "realmRoles": ["boss"]},
    {"id": "u5", "username": "dee", "enabled": true, "clientRoles": {"erp.invoices": ["read"], "gone": ["x"]}, "groups": ["/nowhere"]},
    {"id": "u6", "username": "eve", "realmRoles": ["auditor \"all\" 😀"]},
    {"id": "u7", "username": "service-account-erp", "serviceAccountClientId": "erp", "enabled": true, "realmRoles": ["boss"]},
    {"id": "u8", "username": "Ann", "enabled": true}
  ]
}"#;

fn heard(text: &str) -> Result<Heard, Wanted> {
    keycloak::read(text, rule as LoginRule, &mut |_, _| {})
}

#[test]
fn a_user_holds_what_a_token_would_list() {
    let heard = heard(REALM).unwrap();
    let held = may(&heard);
    assert_eq!(
        held["ann"],
        codes("realm.default-roles-toys realm.offline_access clients.account.view-profile")
    );
    assert_eq!(held["bob"], codes("realm.offline_access clients.erp.invoices%2Ewrite"), "groups above count");
    assert_eq!(
        held["cid"],
        codes(
            "realm.offline_access clients.erp.invoices%2Ewrite realm.clerk realm.boss clients.erp.invoices%2Eread"
        ),
        "rings of composite roles end"
    );
    assert_eq!(held["off"], codes(""));
    assert_eq!(held["dee"], codes("clients.erp.invoices.read"), "dots never make two roles one");
    assert!(!held.contains_key("service-account-erp"));
    assert_eq!(held["eve"], codes(""), "nobody said that eve may sign in");
    let roles: Vec<&str> = heard.facts.roles.iter().map(|role| role.name.as_str()).collect();
    assert!(roles.contains(&"boss") && roles.contains(&"erp/invoices.read"), "{roles:?}");
    assert_eq!(noted(&heard, AnomalyKind::Program)[0].0, "user u7");
    let orphans: Vec<String> =
        noted(&heard, AnomalyKind::Orphan).into_iter().map(|(_, detail)| detail).collect();
    assert_eq!(orphans, ["the group /nowhere is not there", "the role x of the client gone is not there"]);
    assert_eq!(heard.anomalies.count(AnomalyKind::InactiveWithRoles), 2);
    assert_eq!(heard.anomalies.count(AnomalyKind::DuplicateLogin), 2);
    let name = heard.facts.users.iter().find(|user| user.login == "ann").map(|user| user.name.to_owned());
    assert_eq!(name.as_deref(), Some("Änn O'Neil"));
}

#[test]
fn a_code_means_one_role_whatever_else_the_realm_has() {
    // `a.b` and `c` once had the code of `a` and `b.c`, or the other way round, by which came first.
    let realm = |clients: &str, of: &str| {
        format!(
            r#"{{"realm": "r", "roles": {{"client": {{{clients}}}}}, "users": [{{"username": "ann", "enabled": true, "clientRoles": {{{of}}}}}]}}"#
        )
    };
    let (one, other) = (r#""a": [{"name": "b.c"}]"#, r#""a.b": [{"name": "c"}]"#);
    let of = [r#""a": ["b.c"]"#, r#""a.b": ["c"]"#];
    for clients in [one.to_owned(), format!("{one}, {other}")] {
        let held = may(&heard(&realm(&clients, of[0])).unwrap());
        assert_eq!(held["ann"], codes("clients.a.b%2Ec"), "{clients}");
    }
    for clients in [other.to_owned(), format!("{one}, {other}")] {
        let held = may(&heard(&realm(&clients, of[1])).unwrap());
        assert_eq!(held["ann"], codes("clients.a.b.c"), "{clients}");
    }
    let acme = realm(r#""com.acme.app": [{"name": "read"}]"#, r#""com.acme.app": ["read"]"#);
    assert_eq!(may(&heard(&acme).unwrap())["ann"], codes("clients.com.acme.app.read"));
}

#[test]
fn two_groups_of_one_path_give_nothing_and_stop() {
    let realm = r#"{"realm": "r", "roles": {"realm": [{"name": "boss"}, {"name": "clerk"}]}, "groups": [
        {"name": "a", "path": "/a", "subGroups": [{"name": "b", "path": "/a/b", "realmRoles": ["clerk"]}]},
        {"name": "a/b", "path": "/a/b", "realmRoles": ["boss"]}], "users": [{"username": "ann", "enabled": true, "groups": ["/a/b"]}]}"#;
    let doubled = heard(realm).unwrap();
    assert_eq!(may(&doubled)["ann"], codes(""));
    assert_eq!(noted(&doubled, AnomalyKind::DuplicateGroup)[0].0, "group /a/b");
    assert!(AnomalyKind::DuplicateGroup.stops());
    let apart = heard(&realm.replace(r#""a/b", "path": "/a/b""#, r#""a/b", "path": "/a~/b""#)).unwrap();
    assert_eq!(may(&apart)["ann"], codes("realm.clerk"));
    assert!(noted(&apart, AnomalyKind::DuplicateGroup).is_empty());
}

#[test]
fn a_name_that_holds_what_parts_names_is_no_role() {
    for name in ["x\\u001f\\u001eboss", "x\\u001eboss"] {
        let realm = r#"{"realm": "r", "roles": {"realm": [{"name": "boss"}, DEFINED]}, "users": [{"username": "ann", "enabled": true,
            "realmRoles": ["NAME"], "clientRoles": {"": ["boss"], "x": ["NAME"]}}]}"#;
        let realm = realm.replace("DEFINED", r#"{"name": "NAME"}"#).replace("NAME", name);
        let heard = heard(&realm).unwrap();
        assert_eq!(may(&heard)["ann"], codes(""), "{name}");
        assert_eq!(noted(&heard, AnomalyKind::UnfitId).len(), 1, "{name}");
        assert!(AnomalyKind::UnfitId.stops());
    }
}

#[test]
fn passwords_are_written_as_others_write_the_same_method() {
    let of = |algorithm: &str, more: &str| {
        let data = format!(r#"{{\"hashIterations\":5,\"algorithm\":\"{algorithm}\"{more}}}"#);
        let text = format!(
            r#"{{"realm":"r","users":[{{"username":"a","enabled":true,"credentials":[{{"type":"password",
            "secretData":"{{\"value\":\"YW+j/w==\",\"salt\":\"c2FsdHNhbHQ=\"}}","credentialData":"{data}"}}]}}]}}"#
        );
        let mut seen = None;
        keycloak::read(&text, rule as LoginRule, &mut |passing, _| {
            seen = passing.password.map(str::to_owned)
        })
        .unwrap();
        seen.unwrap()
    };
    assert_eq!(of("pbkdf2-sha512", ""), "$pbkdf2-sha512$5$c2FsdHNhbHQ$YW.j/w");
    let argon2 = r#",\"additionalParameters\":{\"memory\":[\"7168\"],\"type\":[\"id\"],\"version\":[\"1.3\"],\"parallelism\":[\"1\"]}"#;
    assert_eq!(of("argon2", argon2), "$argon2id$v=19$m=7168,t=5,p=1$c2FsdHNhbHQ$YW+j/w");
    assert_eq!(of("homemade", ""), "keycloak homemade");
}

#[test]
fn what_is_no_export_with_users_is_refused_and_says_what_to_do() {
    for (text, said) in [
        ("", "this is no export"),
        ("[]", "it is empty"),
        ("{\"users\": []}", "it names no realm"),
        ("{\"realm\": \"toys\"}", "kc.sh export --realm toys --users realm_file"),
        ("[{\"realm\": \"a\"}, {\"realm\": \"b\"}]", "several realms"),
        ("{\"realm\": \"toys\", \"users\": [{\"username\": 7}]}", "line 1"),
    ] {
        let told = heard(text).unwrap_err().to_string();
        assert!(told.contains(said), "{text}: {told}");
    }
    let alone = format!("[{REALM}]");
    assert_eq!(heard(&alone).unwrap().fingerprint, heard(REALM).unwrap().fingerprint);
    let marked = format!("\u{feff}{REALM}");
    assert_eq!(heard(&marked).unwrap().fingerprint, heard(REALM).unwrap().fingerprint);
    let more = REALM.replace("\"realmRoles\": [\"clerk\"]", "\"realmRoles\": [\"clerk\", \"boss\"]");
    assert_eq!(
        heard(&more).unwrap().fingerprint,
        heard(REALM).unwrap().fingerprint,
        "boss came with clerk already"
    );
    let less = REALM.replace("\"realmRoles\": [\"clerk\"]", "\"realmRoles\": []");
    assert_ne!(heard(&less).unwrap().fingerprint, heard(REALM).unwrap().fingerprint);
}
