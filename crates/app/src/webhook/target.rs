//! Where a webhook may lead. Somebody who may name an address must not make this machine speak to what only this machine can reach:
//! itself, its neighbours, the metadata service of its cloud. An address is judged when it is saved, and again, as an IP address, by
//! whoever connects: a name may lead elsewhere by then.

pub use charter_policy::condition::AddressRange;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::pin::Pin;
use std::sync::Arc;
use url::{Host, Url};

/// Longest address.
const LENGTH_MAX: usize = 2_048;
/// Ends of names that belong to a machine or a private network.
const PRIVATE_ENDS: &[&str] =
    &[".localhost", ".local", ".internal", ".intranet", ".lan", ".home.arpa", ".corp", ".private", ".onion"];

/// What to do about an address that is refused.
const EXPECTED: &str =
    "a public one is expected, or one of a network that the setting `webhook_networks` of the service lists";

/// What a resolver is doing.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Turns names into addresses.
pub trait Names: Send + Sync {
    /// The addresses of a name.
    fn resolve<'a>(&'a self, name: &'a str) -> Resolving<'a>;
}

/// What webhooks may reach.
#[derive(Clone, Default)]
pub struct Rules {
    /// Plain HTTP is good enough, as where somebody tries Charter out.
    pub allows_http: bool,
    /// Blocks of addresses that may be reached though they are not public.
    pub networks: Vec<AddressRange>,
    /// Asked when an address is saved; without it only the form is judged then.
    pub names: Option<Arc<dyn Names>>,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules")
            .field("allows_http", &self.allows_http)
            .field("networks", &self.networks)
            .finish_non_exhaustive()
    }
}

fn of_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, _] = address.octets();
    Some(match (a, b, c) {
        (0, ..) => "an unspecified address",
        (127, ..) => "a loopback address",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "a private address",
        (169, 254, _) => "a link-local address, as metadata services have",
        (100, 64..=127, _) => "an address behind a provider's translation",
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) | (198, 18..=19, _) | (192, 88, 99) => {
            "an address for special use"
        }
        (224..=239, ..) => "a multicast address",
        (240.., ..) => "a reserved address",
        _ => return None,
    })
}

fn of_v6(address: Ipv6Addr) -> Option<&'static str> {
    let embedded = |at: usize| {
        let octets = address.octets();
        let part = octets.get(at..at + 4)?;
        of_v4(Ipv4Addr::from(<[u8; 4]>::try_from(part).ok()?))
    };
    Some(match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "an unspecified address",
        [0, 0, 0, 0, 0, 0, 0, 1] => "a loopback address",
        // Translated addresses are what they stand for.
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => return embedded(12),
        [0x2002, ..] => return embedded(2),
        [0xfc00..=0xfdff, ..] => "a private address",
        [0xfe80..=0xfeff, ..] => "a link-local address",
        [0xff00..=0xffff, ..] => "a multicast address",
        [0x2001, 0 | 0xdb8, ..] | [0x2001, 0x10..=0x2f, ..] | [0x3fff, 0..=0x0fff, ..] => {
            "an address for special use"
        }
        [0x2000..=0x3fff, ..] => return None,
        _ => "a reserved address",
    })
}

/// Why an address is not public, if it is not. An IPv4 address written as IPv6 is the IPv4 address.
pub fn not_public(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => of_v4(address),
        IpAddr::V6(address) => of_v6(address),
    }
}

impl Rules {
    /// What an address is that nothing is sent to. Said without the address: where names of this network lead is nobody's business.
    pub fn objection(&self, address: IpAddr) -> Option<&'static str> {
        if self.networks.iter().any(|block| block.contains(address)) {
            return None;
        }
        not_public(address)
    }

    /// The address a text names, if it may be one of a webhook.
    pub fn read(&self, text: &str) -> Result<Url, String> {
        if text.len() > LENGTH_MAX {
            return Err(format!("at most {LENGTH_MAX} characters are allowed"));
        }
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("an address without blanks is expected".to_owned());
        }
        let url = Url::parse(text).map_err(|error| format!("an https:// address is expected: {error}"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.allows_http => {}
            "http" => return Err("https is expected: events would travel in the clear".to_owned()),
            _ => return Err("an https:// address is expected".to_owned()),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("no user and password are expected: the signature proves who sends".to_owned());
        }
        if url.fragment().is_some() {
            return Err("nothing behind a # is expected: it would not be sent".to_owned());
        }
        match url.host() {
            None => Err("a host is expected".to_owned()),
            Some(Host::Ipv4(address)) => self.literal(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.literal(IpAddr::V6(address)),
            Some(Host::Domain(name)) => self.name(name),
        }?;
        Ok(url)
    }

    fn literal(&self, address: IpAddr) -> Result<(), String> {
        self.objection(address).map_or(Ok(()), |what| Err(format!("is {what}: {EXPECTED}")))
    }

    fn name(&self, name: &str) -> Result<(), String> {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        // Where private networks are allowed their names are, too: the address decides.
        let is_private =
            name == "localhost" || !name.contains('.') || PRIVATE_ENDS.iter().any(|end| name.ends_with(end));
        if is_private && self.networks.is_empty() {
            return Err(format!("{name} is a name of a private network: {EXPECTED}"));
        }
        Ok(())
    }

    /// The same, and its name leads to nothing that is not public at this moment. A name that leads nowhere is let through.
    pub async fn read_and_resolve(&self, text: &str) -> Result<Url, String> {
        let url = self.read(text)?;
        if let (Some(Host::Domain(name)), Some(names)) = (url.host(), &self.names)
            && let Ok(addresses) = names.resolve(name).await
            && let Some(what) = addresses.into_iter().find_map(|address| self.objection(address))
        {
            return Err(format!("{name} leads to {what}: {EXPECTED}"));
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_setting_that_would_let_it_through() {
        let rules = Rules::default();
        for text in ["https://10.0.0.1/", "https://hooks.internal/"] {
            let why = rules.read(text).unwrap_err();
            assert!(why.contains("`webhook_networks`"), "{why}");
        }
    }

    /// Attack 114: each way to write an inner address.
    #[test]
    fn no_inner_address_is_taken_however_it_is_written() {
        let rules = Rules { allows_http: true, ..Rules::default() };
        for text in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://0x7f.1/",
            "http://0.0.0.0/",
            "http://0/",
            "http://[::1]/",
            "http://[::]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://[::127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:7f00:1::]/",
            "http://[fe80::1]/",
            "http://[fd00:ec2::254]/",
            "http://[fc00::1]/",
            "http://[fec0::1]/",
            "http://[ff02::1]/",
            "http://[2001::1]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://10.0.0.1/",
            "http://172.16.0.1/",
            "http://172.31.255.255/",
            "http://192.168.1.1/",
            "http://100.64.0.1/",
            "http://100.100.100.200/",
            "http://192.0.0.192/",
            "http://198.18.0.1/",
            "http://224.0.0.1/",
            "http://255.255.255.255/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://printer/",
            "http://metadata.google.internal/",
            "http://db.internal/",
            "http://１２７.0.0.1/",
            "http://①②⑦.⓪.⓪.①/",
            "file:///etc/passwd",
            "gopher://127.0.0.1:25/",
            "ftp://hooks.example.com/",
            "javascript:alert(1)",
            "https://ann:secret@hooks.example.com/",
            "https://hooks.example.com@127.0.0.1/",
            "https://hooks.example.com/#x",
            "https://",
            "hooks.example.com",
            "",
            "https://hooks.example.com/\r\nHost: x",
        ] {
            assert!(rules.read(text).is_err(), "{text}");
        }
        let long = format!("https://hooks.example.com/{}", "x".repeat(3_000));
        assert!(rules.read(&long).is_err());
        for text in [
            "https://hooks.example.com/a?b=c",
            "https://hooks.example.com:8443/",
            "https://93.184.215.14/",
            "https://[2606:2800:21f::1]/",
        ] {
            rules.read(text).unwrap_or_else(|why| panic!("{text}: {why}"));
        }
    }

    #[test]
    fn https_is_demanded_and_an_allowed_network_is_allowed() {
        let strict = Rules::default();
        assert!(strict.read("http://hooks.example.com/").unwrap_err().contains("https"));
        let inner = Rules {
            allows_http: true,
            networks: vec![AddressRange::parse("10.1.0.0/16").unwrap()],
            names: None,
        };
        inner.read("http://10.1.2.3/").unwrap();
        inner.read("https://erp.internal/").unwrap();
        assert!(inner.read("http://10.2.2.3/").is_err());
        assert!(inner.read("http://127.0.0.1/").is_err());
        assert_eq!(inner.objection("::ffff:10.1.2.3".parse().unwrap()), None);
    }

    #[test]
    fn public_addresses_next_to_special_ones_are_public() {
        for text in [
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "169.253.255.255",
            "223.255.255.255",
            "192.167.255.255",
            "8.8.8.8",
            "2606:4700::1111",
            "2a00:1450::1",
            "64:ff9b::808:808",
        ] {
            assert_eq!(not_public(text.parse().unwrap()), None, "{text}");
        }
    }
}
