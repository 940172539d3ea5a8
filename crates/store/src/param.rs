//! Kernel values as parameters of statements, and the macros that name statements and parameters.

use charter_db::Value;
use charter_kernel::{
    AssignmentId, BlockId, CredentialId, DeliveryId, EmailChangeId, FactorId, GrantId, InvitationId, Key,
    LimitOverrideId, MailId, OauthClientId, OrganizationId, Pattern, PrincipalId, RegistrationId, RequestId,
    SessionId, SubscriptionId, TeamId, Timestamp, WebhookId,
};

/// A value a statement takes.
pub(crate) trait Param {
    fn value(&self) -> Value;
}

macro_rules! ids {
    ($($name:ty),*) => {$(
        impl Param for $name {
            fn value(&self) -> Value { Value::Id(self.0) }
        }
    )*};
}

ids!(
    OrganizationId,
    PrincipalId,
    TeamId,
    AssignmentId,
    GrantId,
    BlockId,
    SubscriptionId,
    LimitOverrideId,
    SessionId,
    CredentialId,
    FactorId,
    RequestId,
    MailId,
    WebhookId,
    DeliveryId,
    OauthClientId,
    InvitationId,
    RegistrationId,
    EmailChangeId
);

macro_rules! by_expression {
    ($($type:ty: $it:ident => $value:expr),* $(,)?) => {$(
        impl Param for $type {
            fn value(&self) -> Value { let $it = self; $value }
        }
    )*};
}

by_expression! {
    Value: it => it.clone(),
    Timestamp: it => Value::Time(it.0),
    Key: it => it.as_str().into(),
    Pattern: it => it.as_str().into(),
    str: it => it.into(),
    String: it => it.as_str().into(),
    [u8]: it => it.into(),
    Vec<u8>: it => it.as_slice().into(),
    [u8; 32]: it => it.into(),
    bool: it => (*it).into(),
    i64: it => (*it).into(),
    u32: it => (*it).into(),
    u8: it => (*it).into(),
    // Counters start at one and grow by one; the largest a column holds is out of reach.
    u64: it => Value::Int(i64::try_from(*it).unwrap_or(i64::MAX)),
}

impl<T: Param + ?Sized> Param for &T {
    fn value(&self) -> Value {
        (**self).value()
    }
}

impl<T: Param> Param for Option<T> {
    fn value(&self) -> Value {
        self.as_ref().map_or(Value::Null, Param::value)
    }
}

/// A JSON document as a parameter.
pub(crate) struct Document<'a>(pub &'a str);

impl Param for Document<'_> {
    fn value(&self) -> Value {
        Value::Json(self.0.to_owned())
    }
}

/// A list of texts as a JSON array.
pub(crate) fn texts(list: &[String]) -> Value {
    Value::Json(serde_json::Value::from(list).to_string())
}

/// The parameters of a statement, in the order of `$1`, `$2`, ...
macro_rules! params {
    ($($param:expr),* $(,)?) => { &[$($crate::param::Param::value(&$param)),*] };
}

/// The statements of one file: a constant each, and the list of them. Where the engines truly differ, the text for SQLite comes first, then
/// after a comma the one for PostgreSQL.
macro_rules! statements {
    (@one $text:expr) => { ::charter_db::Statement::new($text) };
    (@one $sqlite:expr, $postgres:expr) => { ::charter_db::Statement::forked($sqlite, $postgres) };
    ($($(#[doc = $doc:literal])* $name:ident = $text:expr $(, $postgres:expr)?;)*) => {
        $($(#[doc = $doc])* const $name: ::charter_db::Statement = statements!(@one $text $(, $postgres)?);)*

        /// The statements of this file, by name.
        #[must_use]
        pub fn statements() -> Vec<(&'static str, &'static ::charter_db::Statement)> {
            vec![$((stringify!($name), &$name)),*]
        }
    };
}
