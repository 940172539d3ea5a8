//! Problems: what the caller is told when something cannot be done (RFC 9457). The kind never changes; the detail is for people.

use crate::Reason;

macro_rules! problems {
    ($($(#[$doc:meta])* $name:ident = $slug:literal, $status:literal, $title:literal;)*) => {
        /// Kind of problem; decides status and title.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ProblemKind { $($(#[$doc])* $name),* }

        impl ProblemKind {
            /// Every kind, for documents and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// The last part of the `type` address; a program reads it.
            pub const fn slug(self) -> &'static str { match self { $(Self::$name => $slug),* } }
            /// HTTP status.
            pub const fn status(self) -> u16 { match self { $(Self::$name => $status),* } }
            /// A short sentence that is the same for every problem of the kind.
            pub const fn title(self) -> &'static str { match self { $(Self::$name => $title),* } }
        }
    };
}

problems! {
    /// The request cannot be read.
    Malformed = "malformed", 400, "The request cannot be read";
    /// No or no valid credential.
    Unauthenticated = "unauthenticated", 401, "Sign in first";
    /// Login and password, or a one-time code, do not fit.
    InvalidCredentials = "invalid-credentials", 401, "Login, password or code is wrong";
    /// Known, but the sign-in is too long ago for what is asked.
    StepUp = "step-up-required", 401, "Prove again that it is you";
    /// Known, but without the second factor that is asked for.
    SecondFactor = "second-factor-required", 401, "A second factor is needed";
    /// Known, but not allowed.
    Forbidden = "forbidden", 403, "Not allowed";
    /// Not there, or the caller may not know that it is.
    NotFound = "not-found", 404, "Not found";
    /// The path exists, but not with this method.
    MethodNotAllowed = "method-not-allowed", 405, "Method not allowed";
    /// Another thing has that name already.
    Taken = "taken", 409, "Already taken";
    /// Something still depends on it.
    InUse = "in-use", 409, "Still in use";
    /// Something has to be there, or to have happened, first.
    NotReady = "not-ready", 409, "Not ready yet";
    /// It would break a separation of duties.
    Conflict = "separation-of-duty", 409, "Separation of duties";
    /// It would leave nobody who can administer the organization.
    LastAdministrator = "last-administrator", 409, "The last administrator stays";
    /// The same request, by its idempotency key, is being worked on.
    InProgress = "in-progress", 409, "Already in progress";
    /// It was used, withdrawn, or its time is over.
    Gone = "gone", 410, "No longer valid";
    /// The thing changed since the caller read it.
    Changed = "changed", 412, "Changed meanwhile";
    /// The same idempotency key was used for another request.
    IdempotencyMismatch = "idempotency-mismatch", 422, "The idempotency key was used for another request";
    /// The body is larger than allowed.
    TooLarge = "too-large", 413, "Too large";
    /// The content type is not understood.
    UnsupportedMediaType = "unsupported-media-type", 415, "Content type not understood";
    /// The request can be read, but its values are wrong.
    Invalid = "invalid", 422, "Values are wrong";
    /// More than the giver holds.
    BeyondGiver = "beyond-giver", 403, "More than the giver holds";
    /// A precondition header is demanded.
    PreconditionRequired = "precondition-required", 428, "Say which version you read";
    /// A limit of the plan is reached.
    LimitReached = "limit-reached", 403, "Limit of the plan reached";
    /// Too many requests.
    Throttled = "throttled", 429, "Too many requests";
    /// A bug of ours.
    Internal = "internal", 500, "Internal error";
    /// The work took too long or the connection broke while it was made final: it may have been done or not.
    OutcomeUnknown = "outcome-unknown", 503, "Whether it was done is not known";
    /// A fact cannot be loaded, the database is away, full, or busy.
    Unavailable = "unavailable", 503, "Unavailable";
}

/// A field that is wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// JSON pointer or field name.
    pub field: String,
    /// What is wrong and what is expected.
    pub detail: String,
}

/// A problem on its way to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub kind: ProblemKind,
    /// What happened and what to do, lower case, specific, without secrets.
    pub detail: String,
    /// The fields that are wrong.
    pub fields: Vec<FieldProblem>,
    /// Seconds after which another try makes sense.
    pub retry_after_seconds: Option<u32>,
    /// The reason of the decision behind it, when there was one.
    pub reason: Option<Reason>,
    /// The rate that was exceeded, when that is why.
    pub rate_limit: Option<RateLimit>,
}

/// How much of a rate is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests a minute.
    pub limit: u32,
    /// How many are left now.
    pub remaining: u32,
    /// Seconds until all of them are there again.
    pub reset_seconds: u32,
    /// Seconds until there is one more.
    pub retry_seconds: u32,
}

impl Problem {
    /// A problem of a kind with its detail.
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            fields: Vec::new(),
            retry_after_seconds: None,
            reason: None,
            rate_limit: None,
        }
    }

    /// A value that is wrong: status 422 with the field's name.
    pub fn invalid(field: impl Into<String>, detail: impl Into<String>) -> Self {
        let (field, detail) = (field.into(), detail.into());
        Self {
            kind: ProblemKind::Invalid,
            detail: format!("{field}: {detail}"),
            fields: vec![FieldProblem { field, detail }],
            retry_after_seconds: None,
            reason: None,
            rate_limit: None,
        }
    }

    /// The same problem, with the reason of the decision that caused it.
    pub fn because(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// The same problem, with the seconds after which another try makes sense.
    pub fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after_seconds: Some(seconds), ..self }
    }

    /// The same problem, with the rate that was exceeded.
    pub fn limited(self, rate: RateLimit) -> Self {
        Self { rate_limit: Some(rate), ..self }
    }

    /// Nothing of that name: status 404.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(ProblemKind::NotFound, what)
    }
}

impl core::fmt::Display for Problem {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}: {}", self.kind.slug(), self.detail)
    }
}

impl core::error::Error for Problem {}
