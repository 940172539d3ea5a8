//! Who is asking, and what came with the request.

use charter_kernel::Pattern;
use charter_kernel::audit::Actor;
use charter_kernel::facts::PrincipalKind;
use charter_kernel::{
    CredentialId, OauthClientId, OrganizationId, PrincipalId, RequestId, SessionId, Timestamp,
};
use charter_policy::{Index, PermissionSet};
use charter_store::principal::Principal;
use charter_store::session::Support;
use std::net::IpAddr;
use std::sync::Arc;

/// Who is asking.
#[derive(Debug, Clone)]
pub enum Caller {
    /// Nobody known.
    Anonymous,
    /// The operator at the machine: whoever may read the data folder or its operator token.
    Operator {
        /// Name of the operating system's account.
        account: String,
    },
    /// A signed-in user or service account; shared, since the same one asks again and again.
    Principal(Arc<SignedIn>),
}

/// The OAuth client that asks on behalf of a principal, and what it was given for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByClient {
    /// The client.
    pub id: OauthClientId,
    /// What it may do, in the words of OAuth.
    pub scope: String,
}

/// A signed-in principal and the credential that proved it.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The principal.
    pub id: PrincipalId,
    /// User or service account.
    pub kind: PrincipalKind,
    /// Login at this moment.
    pub login: String,
    /// Shown name.
    pub name: String,
    /// The session, for users.
    pub session: Option<SessionId>,
    /// The credential, for service tokens.
    pub credential: Option<CredentialId>,
    /// The organization the credential was issued for.
    pub organization: Option<OrganizationId>,
    /// What the credential is limited to; none is no limit.
    pub ceiling: Option<Ceiling>,
    /// The OAuth client that asks; it has no session of the principal's own.
    pub by_client: Option<ByClient>,
    /// How the principal proved itself (RFC 8176).
    pub amr: Vec<String>,
    /// When it did so last; programs have no such instant.
    pub authenticated_at: Option<Timestamp>,
    /// When the credential ends.
    pub expires_at: Option<Timestamp>,
    /// In which second a token of a former system was issued, where it says so; of everything else none.
    pub legacy_issued_at: Option<i64>,
    /// Who really acts, in a support session.
    pub support: Option<Arc<Support>>,
}

/// What somebody knows, of the methods of RFC 8176.
const KNOWN: &[&str] = &["pwd", "pin", "kba"];
/// What somebody has or is.
const HELD: &[&str] = &["otp", "hwk", "sc", "sms", "tel", "face", "fpt", "iris", "retina", "vbm"];

/// Whether methods (RFC 8176) are two factors: they say so, or one is known and another held. Two methods alone are not.
pub fn is_multi_factor<'a>(amr: impl IntoIterator<Item = &'a str>) -> bool {
    let (mut known, mut held) = (false, false);
    for method in amr {
        if method == "mfa" {
            return true;
        }
        known |= KNOWN.contains(&method);
        held |= HELD.contains(&method);
    }
    known && held
}

impl SignedIn {
    /// A principal who proved itself otherwise than by a session of ours.
    pub(crate) fn without_session(principal: Principal) -> Self {
        Self::bare(principal.id, principal.kind, principal.login_folded, principal.name)
    }

    /// Somebody of whom nothing more is known.
    pub(crate) fn bare(id: PrincipalId, kind: PrincipalKind, login: String, name: String) -> Self {
        Self {
            id,
            kind,
            login,
            name,
            session: None,
            credential: None,
            organization: None,
            ceiling: None,
            by_client: None,
            amr: Vec::new(),
            authenticated_at: None,
            expires_at: None,
            legacy_issued_at: None,
            support: None,
        }
    }

    /// Whether the session was begun, or confirmed, with a second factor.
    pub fn has_second_factor(&self) -> bool {
        is_multi_factor(self.amr.iter().map(String::as_str))
    }
}

/// What a credential is limited to. The numbers in a set of permissions mean something in one compiled catalogue only, so the patterns stay
/// beside them: asked about with another catalogue than they were resolved with, they are resolved again.
#[derive(Debug, Clone)]
pub struct Ceiling {
    scopes: Arc<[Pattern]>,
    resolved: PermissionSet,
    by: Arc<Index>,
}

impl Ceiling {
    /// A ceiling of everything the patterns match.
    pub fn new(scopes: impl Into<Arc<[Pattern]>>, index: &Arc<Index>) -> Self {
        let scopes = scopes.into();
        Self { resolved: Self::resolve(&scopes, index), scopes, by: Arc::clone(index) }
    }

    /// The permissions it leaves, numbered as in this catalogue.
    pub fn under(&self, index: &Arc<Index>) -> PermissionSet {
        if Arc::ptr_eq(&self.by, index) { self.resolved.clone() } else { Self::resolve(&self.scopes, index) }
    }

    fn resolve(scopes: &[Pattern], index: &Index) -> PermissionSet {
        let mut set = PermissionSet::EMPTY;
        for scope in scopes {
            set.add(&index.pattern(scope));
        }
        set
    }
}

/// One request: the caller, its id, where it came from, and the one "now" it is decided with.
#[derive(Debug, Clone)]
pub struct RequestContext {
    /// Who is asking.
    pub caller: Caller,
    /// The request's id.
    pub request: RequestId,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The instant everything in this request is judged at.
    pub now: Timestamp,
}

impl RequestContext {
    /// The caller as the audit trail names it.
    pub fn actor(&self) -> Actor {
        match &self.caller {
            Caller::Anonymous => Actor::Nobody,
            Caller::Operator { account } => Actor::Operator { account: account.clone() },
            Caller::Principal(principal) => match &principal.support {
                // Both names, and the id of who really acts.
                Some(support) => Actor::Principal {
                    id: support.by,
                    login: format!("{} as {}", support.login, principal.login),
                },
                // An application acts on behalf of whoever let it in, and the trail names it.
                None => Actor::Principal {
                    id: principal.id,
                    login: match &principal.by_client {
                        Some(client) => format!("{} by {}", principal.login, client.id),
                        None => principal.login.clone(),
                    },
                },
            },
        }
    }

    /// The principal, when one is signed in.
    pub fn principal(&self) -> Option<&SignedIn> {
        match &self.caller {
            Caller::Principal(principal) => Some(principal),
            _ => None,
        }
    }

    /// Whether a program asks by a credential of its own, or an application on behalf of somebody: neither makes credentials.
    pub fn is_by_program(&self) -> bool {
        self.principal().is_some_and(|caller| caller.credential.is_some() || caller.by_client.is_some())
    }

    /// What the credential of this request is limited to, for questions about the one who asks with it: a step of every answer.
    pub fn ceiling_of(&self, subject: PrincipalId) -> Option<&Ceiling> {
        self.principal().filter(|caller| caller.id == subject)?.ceiling.as_ref()
    }

    /// Whether the operator at the machine is asking.
    pub fn is_operator(&self) -> bool {
        matches!(self.caller, Caller::Operator { .. })
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The last key of the page before.
    pub after: Option<String>,
    /// How many at most.
    pub limit: u32,
}

impl Page {
    /// The first page of a size.
    pub fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }

    /// Puts a list in the order of its keys and cuts it to the page: the items after the cursor, at most `limit`, and the next cursor.
    pub fn cut<T>(&self, items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> String) -> Listing<T> {
        let limit = self.limit.max(1) as usize;
        let mut keyed: Vec<(String, T)> = items
            .into_iter()
            .map(|item| (key(&item), item))
            .filter(|(key, _)| self.after.as_ref().is_none_or(|after| key > after))
            .collect();
        keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
        let more = keyed.len() > limit;
        keyed.truncate(limit);
        let next = if more { keyed.last().map(|(key, _)| key.clone()) } else { None };
        Listing { items: keyed.into_iter().map(|(_, item)| item).collect(), next }
    }
}

/// The items of one page, and where the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The items.
    pub items: Vec<T>,
    /// Key to ask the next page with; none at the end.
    pub next: Option<String>,
}

impl<T> Listing<T> {
    /// The same page with each item turned into something else.
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Listing<U> {
        Listing { items: self.items.into_iter().map(turn).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn index(own: Option<&str>) -> Arc<Index> {
        let shipped = charter_catalogue::shipped().unwrap();
        let catalogue = match own {
            None => shipped,
            Some(own) => {
                charter_catalogue::merge(&shipped, &charter_catalogue::parse_own(own).unwrap()).unwrap()
            }
        };
        Arc::new(Index::new(&catalogue).unwrap())
    }

    #[test]
    fn two_methods_are_two_factors_when_one_is_known_and_the_other_held() {
        for two in [&["mfa"][..], &["pwd", "otp"], &["hwk", "pin"], &["pwd", "swk", "sms"]] {
            assert!(is_multi_factor(two.iter().copied()), "{two:?}");
        }
        for one in [
            &[][..],
            &["pwd"],
            &["pwd", "legacy"],
            &["pwd", "pin"],
            &["otp", "sms"],
            &["pwd", "geo"],
            &["MFA"],
        ] {
            assert!(!is_multi_factor(one.iter().copied()), "{one:?}");
        }
    }

    #[test]
    fn a_ceiling_means_the_same_permissions_in_another_catalogue() {
        let (old, new) = (index(None), index(Some(include_str!("../../catalogue/examples/toys.toml"))));
        let scopes: Vec<Pattern> = vec!["sales.*.read".parse().unwrap(), "crm.leads.create".parse().unwrap()];
        let ceiling = Ceiling::new(scopes, &old);
        let codes = |set: PermissionSet, index: &Index| -> Vec<String> {
            set.iter().map(|number| index.code(number).unwrap().to_string()).collect()
        };
        let meant = codes(ceiling.under(&old), &old);
        assert!(meant.len() > 3);
        assert_eq!(codes(ceiling.under(&new), &new), meant);
        assert_ne!(
            ceiling.under(&old),
            ceiling.under(&new),
            "the own entries shift no number: the test shows nothing"
        );
    }
}
