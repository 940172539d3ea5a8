//! The second factor on the way into an application.

use super::*;
use crate::stories::factor::{Equipped, equipped};
use charter_testkit::authenticator::Passkey;
use charter_testkit::both_engines;

const SCOPE: &str = "openid offline_access admin.users.read";
const MEMBERS: &str = "/api/v1/organizations/toys/members";
const HERE_IS: &str = "https://charter.example";

/// What a form of the page with the question sends.
async fn shows(story: &Story, path: &str, page: &Told, proof: (&str, &str)) -> Told {
    let challenge = field(page, "challenge");
    let mut pairs = vec![("do", "factor"), ("challenge", challenge.as_str()), proof];
    let options = if page.body.as_str().unwrap().contains("name=\"options\"") {
        field(page, "options")
    } else {
        String::new()
    };
    pairs.push(("options", &options));
    story.send_form(path, "", &pairs).await
}

fn is_question(page: &Told) {
    let shown = page.body.as_str().unwrap();
    assert!(
        shown.contains("<h1>Your second factor</h1>") && page.headers.get("set-cookie").is_none(),
        "{shown}"
    );
}

both_engines!(
    /// Attack 99: the password alone opens no application, and what the application has says what was proved.
    an_application_is_let_in_with_the_second_factor,
    async |database| {
        let Equipped { story, phone, recovery, .. } = equipped(database).await;
        let shop = story.shop().await;
        let path = asks(&shop, SCOPE, &[]);
        let page = story.type_in(&path, "", ANN_LOGIN, PASSWORD).await.is(200);
        is_question(&page);
        assert!(!page.body.as_str().unwrap().contains("data-passkey"), "she has none");
        // Going on as if it were answered leads back to the beginning.
        for skipped in [("do", "agree"), ("do", "refuse"), ("do", "other")] {
            let told = story.send_form(&path, "", &[skipped]).await.is(200);
            assert!(told.body.as_str().unwrap().contains("<h1>Sign in</h1>"));
        }
        let challenge = format!("__Host-ch_s={}", field(&page, "challenge"));
        assert!(story.open(&path, &challenge).await.is(200).body.as_str().unwrap().contains("<h1>Sign in</h1>"));
        let wrong = shows(&story, &path, &page, ("code", "000000")).await.is(401);
        is_question(&wrong);
        assert!(wrong.body.as_str().unwrap().contains("role=\"alert\">the second factor is wrong"));
        assert_eq!(field(&wrong, "challenge"), field(&page, "challenge"));
        shows(&story, &path, &page, ("code", "")).await.is(422);
        shows(&story, &path, &page, ("passkey", "{")).await.is(422);

        let page = shows(&story, &path, &wrong, ("code", &phone.code(&story, 0))).await.is(200);
        let cookies = crumb(&page);
        let told = story.send_form(&path, &cookies, &[("token", &hidden(&page)), ("do", "agree")]).await;
        let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
        let id = says(&text(&tokens["id_token"]));
        assert_eq!(id["amr"], json!(["pwd", "otp", "mfa"]));
        assert_eq!(id["acr"], "urn:charter:acr:multi-factor");
        assert_eq!(says(&text(&tokens["access_token"]))["amr"], id["amr"]);
        story.pass(30);
        let again = story.refresh_of(&shop, &text(&tokens["refresh_token"]), "").await.is(200).body;
        let access = says(&text(&again["access_token"]));
        assert_eq!((&access["amr"], &access["auth_time"]), (&id["amr"], &id["auth_time"]));

        // The question was answered; a recovery code is an answer as well.
        let over = shows(&story, &path, &wrong, ("code", &phone.code(&story, 0))).await.is(401);
        assert!(over.body.as_str().unwrap().contains("<h1>Sign in</h1>"));
        let page = story.type_in(&path, "", ANN_LOGIN, PASSWORD).await.is(200);
        let told = shows(&story, &path, &page, ("code", &recovery[0])).await;
        assert!(!one(&told, "code").is_empty(), "she agreed before");
    }
);

both_engines!(a_passkey_opens_an_application_beside_a_password_and_alone, async |database| {
    let story = Story::with_password(database).await;
    let shop = story.shop().await;
    let (cookies, _) = story.let_in(&asks(&shop, "openid", &[])).await;
    let told = story
        .visit(Method::POST, "/api/v1/me/factors/passkeys/options", &[("cookie", &cookies), HERE], None)
        .await
        .is(200);
    let (mut passkey, handed) = Passkey::make(&told.body["public_key"], HERE_IS);
    let body = json!({"challenge": told.body["challenge"], "credential": handed});
    let headers = [("cookie", cookies.as_str()), HERE];
    story.wire(Method::POST, "/api/v1/me/factors/passkeys", &headers, None, Some(body)).await.is(201);

    let path = asks(&shop, "openid", &[]);
    let page = story.type_in(&path, "", ANN_LOGIN, PASSWORD).await.is(200);
    is_question(&page);
    let options: Value = serde_json::from_str(&field(&page, "options")).unwrap();
    assert_eq!(options["allowCredentials"].as_array().unwrap().len(), 1);
    let handed = passkey.answer(&options).to_string();
    let told = shows(&story, &path, &page, ("passkey", &handed)).await;
    let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
    assert_eq!(says(&text(&tokens["id_token"]))["amr"], json!(["pwd", "hwk", "mfa"]));

    let page = story.open(&path, "").await.is(200);
    let (challenge, options) = (field(&page, "challenge"), field(&page, "options"));
    let handed = passkey.answer(&serde_json::from_str(&options).unwrap()).to_string();
    let pairs = [("do", "passkey"), ("challenge", challenge.as_str()), ("passkey", handed.as_str())];
    let told = story.send_form(&path, "", &pairs).await;
    let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
    let id = says(&text(&tokens["id_token"]));
    assert_eq!((&id["amr"], &id["acr"]), (&json!(["hwk", "mfa"]), &json!("urn:charter:acr:multi-factor")));
    story.send_form(&path, "", &pairs).await.is(401);
});

both_engines!(
    /// Attack 99: what an organization demands is demanded of those who go on to its applications, and of the applications themselves.
    an_organization_demands_the_factor_of_its_applications,
    async |database| {
        let story = Story::with_password(database).await;
        let shop = story.shop().await;
        let (cookies, tokens) = story.tokens_of(&shop, SCOPE).await;
        assert_eq!(story.status(&tokens["access_token"], MEMBERS).await, 200);
        let settings = "/api/v1/organizations/toys/identity-settings";
        for of in ["privileged", "everyone"] {
            story.patch(Who::Operator, settings, json!({"second_factor": of})).await.is(200);
            assert_eq!(story.status(&tokens["access_token"], MEMBERS).await, 401);
            let page = story.open(&asks(&shop, SCOPE, &[]), &cookies).await.is(403);
            let shown = page.body.as_str().unwrap();
            assert!(shown.contains("demands a second factor") && shown.contains("href=\"/account/factors\""), "{shown}");
            let told = story.open(&asks(&shop, SCOPE, &[("prompt", "none")]), &cookies).await;
            assert_eq!(one(&told, "error"), "interaction_required");
        }
        let told = story.refresh_of(&shop, &text(&tokens["refresh_token"]), "").await;
        is_error(&told, 400, "invalid_grant");

        // The first factor ends what was begun without it.
        let new = story.log_in(ANN_LOGIN, PASSWORD).await.is(200);
        let (phone, _) = story.add_app(&text(&new.body["access_token"])).await;
        story.pass(30);
        let path = asks(&shop, SCOPE, &[]);
        let page = story.type_in(&path, "", ANN_LOGIN, PASSWORD).await.is(200);
        let told = shows(&story, &path, &page, ("code", &phone.code(&story, 0))).await;
        let tokens = story.exchange(&shop, &one(&told, "code")).await.is(200).body;
        assert_eq!(story.status(&tokens["access_token"], MEMBERS).await, 200);
    }
);
