// An ordinary OpenID Connect client library signs in against the running program: discovery, code with PKCE, signed ID token, user info,
// refresh, introspection, revocation, client credentials, signing out. The browser in between is a few lines: it keeps cookies, follows
// nothing by itself and sends the forms of the pages. Exits with 1 and says where it stood.
import assert from "node:assert/strict";
import http from "node:http";
import * as openid from "openid-client";

const { CHARTER_URL: url, CHARTER_LOGIN: login, CHARTER_PASSWORD: password } = process.env;
const back = "http://127.0.0.1:9/callback";
const bye = "http://127.0.0.1:9/bye";

// ---- a browser ---------------------------------------------------------------------------------------------------

const cookies = new Map();

const visit = (address, fields) =>
  new Promise((resolve, reject) => {
    const body = fields && new URLSearchParams(fields).toString();
    const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") };
    if (body !== undefined) {
      headers["content-type"] = "application/x-www-form-urlencoded";
      headers["sec-fetch-site"] = "same-origin";
    }
    const request = http.request(address, { method: body === undefined ? "GET" : "POST", headers }, (response) => {
      for (const cookie of response.headers["set-cookie"] ?? []) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie);
        cookies.set(name, value);
      }
      let text = "";
      response.setEncoding("utf8").on("data", (piece) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode, to: response.headers.location, text }));
    });
    request.on("error", reject);
    request.end(body);
  });

const unescaped = (text) =>
  text.replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
const formOf = (page) => new URL(unescaped(/<form method="post" action="([^"]*)"/.exec(page.text)[1]), url).href;
const tokenOf = (page) => unescaped(/name="token" value="([^"]*)"/.exec(page.text)[1]);

// ---- the service's own API -----------------------------------------------------------------------------------------

const json = async (path, body, token) => {
  const response = await fetch(`${url}${path}`, {
    method: body ? "POST" : "GET",
    headers: { ...(body && { "content-type": "application/json" }), ...(token && { authorization: `Bearer ${token}` }) },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  assert.ok(response.ok, `${path}: ${response.status} ${text}`);
  return JSON.parse(text);
};

let step = "start";
try {
  step = "an administrator registers the application and the service account";
  const { access_token: administrator } = await json("/api/v1/auth/login", { login, password, organization: "platform" });
  const platform = "/api/v1/organizations/platform";
  await json(`${platform}/members`, { login: "robot", kind: "service_account" }, administrator);
  const made = await json(
    `${platform}/oauth-clients`,
    {
      name: "A library",
      kind: "confidential",
      redirect_uris: [back],
      post_logout_redirect_uris: [bye],
      grant_types: ["authorization_code", "refresh_token", "client_credentials"],
      scopes: ["openid", "profile", "email", "offline_access", "admin.users.read"],
      service_account: "robot",
    },
    administrator,
  );

  step = "the library discovers the service";
  const config = await openid.discovery(new URL(url), made.client.id, made.client_secret, undefined, {
    execute: [openid.allowInsecureRequests, openid.enableNonRepudiationChecks],
  });
  const supported = config.serverMetadata();
  assert.equal(supported.issuer.replace(/\/$/, ""), url);

  step = "the browser is sent to sign in, and its user agrees";
  const verifier = openid.randomPKCECodeVerifier();
  const asked = {
    redirect_uri: back,
    scope: "openid profile email offline_access admin.users.read",
    code_challenge: await openid.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    state: openid.randomState(),
    nonce: openid.randomNonce(),
    max_age: "300",
  };
  const start = openid.buildAuthorizationUrl(config, asked).href;
  const signIn = await visit(start);
  assert.equal(signIn.status, 200, signIn.text);
  const agree = await visit(formOf(signIn), { login, password, do: "sign-in" });
  assert.match(agree.text, /Do you agree\?/);
  const returned = await visit(formOf(agree), { token: tokenOf(agree), do: "agree" });
  assert.equal(returned.status, 303, returned.text);

  step = "the library exchanges the code and believes the ID token";
  const checks = {
    pkceCodeVerifier: verifier,
    expectedState: asked.state,
    expectedNonce: asked.nonce,
    idTokenExpected: true,
    maxAge: 300,
  };
  const tokens = await openid.authorizationCodeGrant(config, new URL(returned.to), checks);
  const claims = tokens.claims();
  assert.equal(claims.email, login);
  assert.deepEqual(claims.amr, ["pwd"]);
  await assert.rejects(openid.authorizationCodeGrant(config, new URL(returned.to), { ...checks, expectedState: "another" }));

  step = "user info is of the same user";
  const user = await openid.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(user.email, login);

  step = "the tokens open what the scope says";
  const members = await json(`${platform}/members`, undefined, tokens.access_token);
  assert.ok(members.items.length >= 2);

  step = "the tokens are refreshed, looked at and given back";
  const next = await openid.refreshTokenGrant(config, tokens.refresh_token);
  const worth = await openid.tokenIntrospection(config, next.access_token);
  assert.equal(worth.active, true);
  assert.equal(worth.sub, claims.sub);
  await openid.tokenRevocation(config, next.refresh_token);
  assert.equal((await openid.tokenIntrospection(config, next.access_token)).active, false);
  await assert.rejects(openid.refreshTokenGrant(config, next.refresh_token), { error: "invalid_grant" });

  step = "the application asks for itself";
  const own = await openid.clientCredentialsGrant(config, { scope: "admin.users.read" });
  const me = await json("/api/v1/me", undefined, own.access_token);
  assert.equal(me.login, "robot");

  step = "the user signs out and is sent back";
  const leave = openid.buildEndSessionUrl(config, { post_logout_redirect_uri: bye, id_token_hint: tokens.id_token, state: "s" });
  const page = await visit(leave.href);
  assert.match(page.text, /Sign out\?/);
  const gone = await visit(formOf(page), { token: tokenOf(page), do: "sign-out" });
  assert.equal(gone.to, `${bye}?state=s`);
  assert.match((await visit(start)).text, /<h1>Sign in<\/h1>/);
} catch (error) {
  console.error(`at: ${step}\n${error?.stack ?? error}`);
  if (error?.cause) console.error(error.cause);
  process.exit(1);
}
