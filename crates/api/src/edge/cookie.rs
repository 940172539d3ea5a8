//! Cookies of browsers: the session's and the known device's, how they are read and how they are set.
//!
//! Over https their names begin with `__Host-`: a browser takes such a cookie from this host alone, over TLS, for every path, so a page
//! of a neighbouring host cannot plant one. On this machine, while trying out, there is no TLS, and the names lack it.

use charter_kernel::{Problem, ProblemKind};
use http::HeaderMap;
use http::header::{COOKIE, USER_AGENT};
use std::borrow::Cow;

/// Whether and how browsers' sessions have cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cookies {
    /// Over https alone.
    #[default]
    Secure,
    /// Over plain http too: for a service that only this machine reaches, while trying out.
    Plain,
    /// Not at all: they would travel in the clear.
    Off,
}

/// One of our cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crumb {
    /// The session's.
    Session,
    /// The known device's.
    Device,
}

impl Cookies {
    fn name(self, crumb: Crumb) -> Option<&'static str> {
        match (self, crumb) {
            (Self::Secure, Crumb::Session) => Some("__Host-ch_s"),
            (Self::Secure, Crumb::Device) => Some("__Host-ch_d"),
            (Self::Plain, Crumb::Session) => Some("ch_s"),
            (Self::Plain, Crumb::Device) => Some("ch_d"),
            (Self::Off, _) => None,
        }
    }

    /// The value a browser sent. One that sends two of the name has been given one by somebody else.
    pub fn read(self, headers: &HeaderMap, crumb: Crumb) -> Result<Option<&str>, Problem> {
        let Some(name) = self.name(crumb) else { return Ok(None) };
        let mut found = None;
        for header in headers.get_all(COOKIE) {
            // What cannot be text is none of ours, which are letters and digits.
            for pair in header.to_str().unwrap_or_default().split(';') {
                let Some((key, value)) = pair.split_once('=') else { continue };
                if key.trim() != name {
                    continue;
                }
                if found.is_some() {
                    return Err(Problem::new(
                        ProblemKind::Malformed,
                        format!(
                            "two cookies are named {name}: delete the cookies of this site and sign in again"
                        ),
                    ));
                }
                found = Some(value.trim());
            }
        }
        Ok(found)
    }

    /// The header that gives a browser a cookie for so many seconds; zero takes it away.
    pub fn set(self, crumb: Crumb, value: &str, seconds: i64) -> Option<String> {
        let name = self.name(crumb)?;
        let secure = if self == Self::Secure { "; Secure" } else { "" };
        Some(format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"))
    }
}

/// What a client said of itself, for routes that ask.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// Whether and how it can be given cookies.
    pub cookies: Cookies,
    /// The program it calls itself.
    pub user_agent: Option<String>,
    /// Its session's cookie.
    pub session: Option<String>,
    /// Its known device's cookie.
    pub device: Option<String>,
}

impl Client {
    /// What the headers of a request say.
    pub(crate) fn of(headers: &HeaderMap, cookies: Cookies) -> Result<Self, Problem> {
        let sent = headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        Ok(Self {
            cookies,
            user_agent: sent.map(Cow::into_owned),
            session: cookies.read(headers, Crumb::Session)?.map(str::to_owned),
            device: cookies.read(headers, Crumb::Device)?.map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn read(text: &'static str, cookies: Cookies) -> Result<Option<String>, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static(text));
        Ok(cookies.read(&headers, Crumb::Session)?.map(str::to_owned))
    }

    #[test]
    fn a_cookie_is_read_by_its_whole_name() {
        assert_eq!(read("a=b; __Host-ch_s=x1; c=d", Cookies::Secure).unwrap().as_deref(), Some("x1"));
        for other in ["ch_s=x1", "x__Host-ch_s=x1", "__host-ch_s=x1", "__Host-ch_sx=x1", "__Host-ch_s", ""] {
            assert_eq!(read(other, Cookies::Secure).unwrap(), None, "{other}");
        }
        assert_eq!(read("ch_s=x1", Cookies::Plain).unwrap().as_deref(), Some("x1"));
        assert_eq!(read("__Host-ch_s=x1; ch_s=x1", Cookies::Off).unwrap(), None);
    }

    /// Attack 38: a cookie of the name without its prefix, as a neighbouring host can plant it, is not ours; two of the name are refused.
    #[test]
    fn a_planted_cookie_does_not_take_the_place_of_ours() {
        assert_eq!(read("ch_s=evil; __Host-ch_s=x1", Cookies::Secure).unwrap().as_deref(), Some("x1"));
        assert_eq!(
            read("__Host-ch_s=x1; __Host-ch_s=evil", Cookies::Secure).unwrap_err().kind,
            ProblemKind::Malformed
        );
    }

    /// Attack 37.
    #[test]
    fn a_cookie_is_for_this_host_and_no_script() {
        let set = Cookies::Secure.set(Crumb::Session, "x1", 60).unwrap();
        assert_eq!(set, "__Host-ch_s=x1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        let plain = Cookies::Plain.set(Crumb::Device, "x1", 0).unwrap();
        assert_eq!(plain, "ch_d=x1; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
        assert_eq!(Cookies::Off.set(Crumb::Session, "x1", 60), None);
    }
}
