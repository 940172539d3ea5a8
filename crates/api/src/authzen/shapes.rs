//! How the JSON of AuthZEN looks, for the API document. Nothing but what the specification demands is required; members that are not
//! named here may be sent and are ignored.

use crate::edge::wire::AnyObject;
use schemars::JsonSchema;

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(JsonSchema)]
        #[schemars(rename_all = "snake_case")]
        #[expect(dead_code, reason = "only its schema is used")]
        pub struct $name { $($(#[$field_doc])* $field: $kind,)* }
    )*};
}

shapes! {
    /// Whose right is asked about.
    AuthzenSubject {
        /// `user`, `service_account` or `client`; another type is nobody.
        r#type: String,
        /// Login or id.
        id: String,
        /// Attributes; they count as far as the organization lets callers assert them, and stored ones win.
        properties: Option<AnyObject>,
    }

    /// A subject that is searched for: an id is ignored.
    AuthzenSubjectSought {
        /// `user`, `service_account` or `client`.
        r#type: String,
        /// Attributes, as in an evaluation.
        properties: Option<AnyObject>,
    }

    /// What is to be done.
    AuthzenAction {
        /// An action of the resource's type, or a full permission code.
        name: String,
        /// Attributes of the action.
        properties: Option<AnyObject>,
    }

    /// What it is to be done to.
    AuthzenResource {
        /// A resource type of the catalogue, or the middle word of permission codes.
        r#type: String,
        /// Its id within the type.
        id: String,
        /// Attributes, as of a subject.
        properties: Option<AnyObject>,
    }

    /// A resource that is searched for: an id is ignored.
    AuthzenResourceSought {
        /// A resource type.
        r#type: String,
        /// Attributes, as in an evaluation.
        properties: Option<AnyObject>,
    }

    /// One question.
    AuthzenEvaluation {
        subject: AuthzenSubject,
        action: AuthzenAction,
        resource: AuthzenResource,
        /// Free; `ip` (the user's address), `mfa` and `amr` are read by conditions.
        context: Option<AnyObject>,
    }

    /// An item of a batch: what it leaves out is taken from the batch.
    AuthzenItem {
        subject: Option<AuthzenSubject>,
        action: Option<AuthzenAction>,
        resource: Option<AuthzenResource>,
        context: Option<AnyObject>,
    }

    /// Many questions. Without items it is one question.
    AuthzenEvaluations {
        subject: Option<AuthzenSubject>,
        action: Option<AuthzenAction>,
        resource: Option<AuthzenResource>,
        context: Option<AnyObject>,
        /// At most 5,000.
        evaluations: Option<Vec<AuthzenItem>>,
        options: Option<AuthzenOptions>,
    }

    /// Options of a batch.
    AuthzenOptions {
        /// `execute_all` when left out.
        evaluations_semantic: Option<AuthzenSemantic>,
    }

    /// An answer.
    AuthzenDecision {
        decision: bool,
        context: Option<AuthzenReason>,
    }

    /// Why.
    AuthzenReason {
        /// The reason of the decision.
        reason: Option<String>,
        /// The layer that decided: organization, entitlement or permission.
        layer: Option<String>,
        /// The revision of the facts.
        revision: Option<u64>,
        /// Until when the answer may be kept; left out when no fact that decided has an end.
        valid_until: Option<String>,
        /// The entitlement ran out and its grace period runs.
        in_grace: Option<bool>,
        /// Whose rule answered, `legacy` or `charter`, where the organization is answered beside the rule of the system it was taken over from.
        answered_by: Option<String>,
        /// What is wrong with an item of a batch.
        error: Option<AuthzenFault>,
    }

    /// What is wrong with an item of a batch.
    AuthzenFault {
        /// 400.
        status: u16,
        /// What to mend.
        message: String,
    }

    /// Answers to a batch in the order of its items; or one decision where no items were sent.
    AuthzenDecisions {
        evaluations: Option<Vec<AuthzenDecision>>,
        decision: Option<bool>,
        context: Option<AuthzenReason>,
    }

    /// Which page of a search.
    AuthzenPageAsked {
        /// The token of the page before.
        token: Option<String>,
        /// Results of a page, 1,000 at most; stays that of the first page.
        limit: Option<u64>,
        properties: Option<AnyObject>,
    }

    /// Who may do this?
    AuthzenSubjectSearch {
        subject: AuthzenSubjectSought,
        action: AuthzenAction,
        resource: AuthzenResource,
        context: Option<AnyObject>,
        page: Option<AuthzenPageAsked>,
    }

    /// On which resources?
    AuthzenResourceSearch {
        subject: AuthzenSubject,
        action: AuthzenAction,
        resource: AuthzenResourceSought,
        context: Option<AnyObject>,
        page: Option<AuthzenPageAsked>,
    }

    /// Which actions? An action that is sent is ignored.
    AuthzenActionSearch {
        subject: AuthzenSubject,
        resource: AuthzenResource,
        context: Option<AnyObject>,
        page: Option<AuthzenPageAsked>,
    }

    /// Where in the answer this page stands.
    AuthzenPage {
        /// Token of the next page; empty at the end.
        next_token: String,
        /// Results on this page.
        count: u64,
    }

    /// Results of a search: each has type and id, or the name of an action.
    AuthzenResults {
        page: AuthzenPage,
        results: Vec<AnyObject>,
    }
}

/// When a batch stops.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
#[expect(dead_code, reason = "only its schema is used")]
pub enum AuthzenSemantic {
    /// Never.
    ExecuteAll,
    /// After the first denial.
    DenyOnFirstDeny,
    /// After the first permit.
    PermitOnFirstPermit,
}
