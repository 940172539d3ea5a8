//! Reads: one consistent view of the database for a few statements of the store. They are boxed: most requests are answered from memory
//! and must not carry the room a read would need.

use charter_db::BoxFuture;
use charter_kernel::Problem;
use std::future::Future;

/// A boxed future whose type of result is plain to see.
pub(crate) fn boxed<'a, T>(
    future: impl Future<Output = Result<T, Problem>> + Send + 'a,
) -> BoxFuture<'a, Result<T, Problem>> {
    Box::pin(future)
}

/// Runs statements of the store on a connection that sees one organization: `reading!(database, organization, |conn| store::...)`.
macro_rules! reading {
    ($database:expr, $organization:expr, |$conn:ident| $body:expr) => {
        $crate::reading::boxed($database.read(
            ::charter_db::Scope::Organization($organization.bits()),
            move |$conn: &mut ::charter_db::Conn| {
                $crate::reading::boxed(async move { $body.await.map_err(::charter_kernel::Problem::from) })
            },
        ))
        .await
    };
}

/// The same for data that belongs to no organization, or to several.
macro_rules! reading_all {
    ($database:expr, |$conn:ident| $body:expr) => {
        $crate::reading::boxed($database.read(
            ::charter_db::Scope::Installation,
            move |$conn: &mut ::charter_db::Conn| {
                $crate::reading::boxed(async move { $body.await.map_err(::charter_kernel::Problem::from) })
            },
        ))
        .await
    };
}
