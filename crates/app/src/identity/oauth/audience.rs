//! What an access token is for (RFC 8707): Charter itself when nothing is said, or another service by its absolute URI, of those the client
//! is registered for. A token is for one of them: whoever is shown it could show it on, and must find no other door that it opens. So a
//! token for another service is none for Charter.

use super::{Fault, OauthClient, Refused};
use url::Url;

/// Charter itself among what somebody agreed to. No other audience is called so: it is no absolute URI.
pub(super) const ITSELF: &str = "charter";
/// Most audiences of one client.
pub(super) const AUDIENCES_MAX: usize = 20;
const LENGTH_MAX: usize = 1_000;

fn refused(detail: impl Into<String>) -> Refused {
    Refused { fault: Fault::InvalidTarget, detail: detail.into() }
}

/// What is wrong with a resource that is to be registered, if anything. Resources are compared letter by letter.
pub(super) fn fault(text: &str) -> Option<String> {
    if text.len() > LENGTH_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(format!("a URI of at most {LENGTH_MAX} visible ASCII characters is expected"));
    }
    let Ok(url) = Url::parse(text) else { return Some(format!("{text:?} is no absolute URI")) };
    // What a library makes of it has to be what stands there.
    if url.as_str() != text && url.as_str().strip_suffix('/') != Some(text) {
        return Some(format!("{text:?} is written otherwise: {url}"));
    }
    if text.contains('#') || !url.username().is_empty() || url.password().is_some() {
        return Some(format!("{text:?} has a fragment or a name in it: a resource has none"));
    }
    None
}

/// The resources of a request for a code, each once.
pub(super) fn asked(client: &OauthClient, wanted: Vec<String>) -> Result<Vec<String>, Refused> {
    let mut asked: Vec<String> = Vec::new();
    for resource in wanted {
        if !client.audiences.contains(&resource) {
            return Err(refused("the client is not registered for the resource it asks for"));
        }
        if !asked.contains(&resource) {
            asked.push(resource);
        }
    }
    Ok(asked)
}

/// The words by which what is asked for is agreed to: nothing is Charter itself.
pub(super) fn words(asked: &[String]) -> Vec<&str> {
    if asked.is_empty() { vec![ITSELF] } else { asked.iter().map(String::as_str).collect() }
}

/// What one access token is for, of what was given; none is Charter itself.
pub(super) fn of_token(
    client: &OauthClient,
    given: &[String],
    wanted: &[&str],
) -> Result<Option<String>, Refused> {
    let resource = match (wanted, given) {
        ([], []) => return Ok(None),
        ([], [only]) => only,
        ([], _) => {
            return Err(refused(
                "several resources were asked for: say with resource which this token is for",
            ));
        }
        ([one], _) => given
            .iter()
            .find(|known| known == one)
            .ok_or_else(|| refused("the resource was not asked for when the user was asked"))?,
        _ => return Err(refused("an access token is for one resource: ask for one after the other")),
    };
    if !client.audiences.contains(resource) {
        return Err(refused("the client is no longer registered for the resource"));
    }
    Ok(Some(resource.clone()))
}

/// What an access token is for that a client asks for itself; none is Charter.
pub(super) fn of_itself(client: &OauthClient, wanted: &[&str]) -> Result<Option<String>, Refused> {
    match wanted {
        [] => Ok(None),
        [_] => of_token(client, &client.audiences, wanted)
            .map_err(|_| refused("the client is not registered for the resource it asks for")),
        _ => of_token(client, &client.audiences, wanted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_an_absolute_uri_without_a_fragment() {
        for good in [
            "https://api.example",
            "https://api.example/",
            "https://api.example/v1?tenant=a",
            "urn:example:billing",
            "com.example.api:/x",
        ] {
            assert_eq!(fault(good), None, "{good}");
        }
        let long = format!("https://api.example/{}", "x".repeat(1_000));
        for wrong in [
            "",
            "api.example",
            "/v1",
            "//api.example/v1",
            "https://api.example/#",
            "https://api.example/a#b",
            "https://ann@api.example/",
            "https://API.example/",
            "https://api.example/a/../b",
            "https://api.example/ x",
            "https://api.example/\u{e9}",
            "https:api.example",
            &long,
        ] {
            assert!(fault(wrong).is_some(), "{wrong}");
        }
    }
}
