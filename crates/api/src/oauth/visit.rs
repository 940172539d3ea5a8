//! A browser's visit to one of our pages: the request without its body, and who its cookie proves.

use crate::edge::{Client, Made, RawCall, Settings, made};
use charter_app::{App, Caller, RequestContext};
use charter_kernel::{Problem, ProblemKind};
use http::request::Parts;

/// One visit.
pub(super) struct Visit {
    /// The use cases.
    pub app: App,
    /// The request; its caller is nobody, whatever cookie came with it.
    pub ctx: RequestContext,
    /// Method, address, headers.
    pub parts: Parts,
    /// What the browser says of itself.
    pub client: Client,
    settings: Settings,
}

impl Visit {
    /// The visit of a request whose body was read, or is not needed.
    pub fn of(call: RawCall<App>) -> Result<Self, Problem> {
        let settings = call.shared.settings.clone();
        let client = Client::of(&call.parts.headers, settings.cookies)?;
        Ok(Self { app: call.app, ctx: call.ctx, parts: call.parts, client, settings })
    }

    /// The parameters in the address, as they stand there.
    pub fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// The request with the caller that the cookie of the browser proves; nobody when it proves nothing.
    pub async fn by_cookie(&self) -> Result<RequestContext, Problem> {
        let mut ctx = self.ctx.clone();
        if let Some(cookie) = &self.client.session {
            match self.app.authenticate_cookie(cookie, ctx.address).await {
                Ok(caller) => ctx.caller = caller,
                Err(problem) if problem.kind == ProblemKind::Unauthenticated => {
                    ctx.caller = Caller::Anonymous
                }
                Err(problem) => return Err(problem),
            }
        }
        Ok(ctx)
    }

    /// Refuses a form that a browser does not say to come from a page of ours. Every browser that shows these pages says so.
    pub fn require_here(&self) -> Result<(), Problem> {
        if made(&self.parts.headers, &self.settings) == Made::Here {
            return Ok(());
        }
        let detail = "nothing says that a page of this service asks: use a current browser";
        Err(Problem::new(ProblemKind::Forbidden, detail))
    }
}
