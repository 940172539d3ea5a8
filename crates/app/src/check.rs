//! Checks: may this principal do this to that, here, now? One, many, and the searches; and who may ask about whom.

use crate::caller::{Caller, RequestContext};
use crate::denial::{Denial, Joined};
use crate::shadow::{ShadowMode, Side};
use crate::snapshot::Snapshot;
use crate::{App, limit, text};
use charter_kernel::facts::{Level, OrganizationFacts, PrincipalKind};
use charter_kernel::id::parse_uuid;
use charter_kernel::{
    DecidedBy, Decision, Key, OrganizationId, PermissionCode, PrincipalId, Problem, ProblemKind, Reason,
    ResourceRef, Revision, Timestamp,
};
use charter_policy::reference::{self, Explanation, Remedy};
use charter_policy::{Check, CheckResource, Context, Index, PermissionIndex};
use charter_store as store;
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::sync::Arc;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<'a> {
    /// A permission code.
    Permission(&'a str),
    /// An action on a type of resource; a full code as the action works too.
    Action {
        /// The type.
        kind: &'a str,
        /// The action.
        action: &'a str,
    },
}

/// One question about one principal.
#[derive(Debug, Clone, Default)]
pub struct Question<'a> {
    /// Login or id of the principal.
    pub subject: &'a str,
    /// Kind of principal, when the caller said so; another kind is an unknown subject.
    pub subject_kind: Option<PrincipalKind>,
    /// What is asked for.
    pub asked: Option<Asked<'a>>,
    /// Type and id of the resource.
    pub resource: Option<(&'a str, &'a str)>,
    /// Address the principal's request came from.
    pub address: Option<IpAddr>,
    /// The principal proved a second factor.
    pub mfa: bool,
    /// How the principal proved itself.
    pub amr: Vec<&'a str>,
    /// Attributes of the subject the caller sends.
    pub subject_properties: Option<&'a Map<String, Value>>,
    /// Attributes of the action the caller sends.
    pub action_properties: Option<&'a Map<String, Value>>,
    /// Attributes of the resource the caller sends.
    pub resource_properties: Option<&'a Map<String, Value>>,
    /// Context the caller sends.
    pub context: Option<&'a Map<String, Value>>,
}

/// An amount of a limit that what is asked for would use (E9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitAsked {
    /// The limit.
    pub limit: Key,
    /// How many more.
    pub amount: i64,
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The decision.
    pub decision: Decision,
    /// How old the facts may be, in seconds: more than a second or two means that the database is away.
    pub age_seconds: i64,
    /// What somebody should know of the limit that was asked about.
    pub warning: Option<String>,
    /// Whose answer it is, where the organization is answered beside the rule of another system.
    pub answered_by: Option<Side>,
}

fn denied(reason: Reason, revision: Revision) -> Decision {
    Decision { reason, decided_by: DecidedBy::Nothing, revision, valid_until: None, in_grace: false }
}

impl<'a> Question<'a> {
    /// What is known of the request the question is about.
    pub(crate) fn circumstances(&'a self) -> Context<'a> {
        Context {
            address: self.address,
            mfa: self.mfa,
            amr: &self.amr,
            subject_properties: self.subject_properties,
            action_properties: self.action_properties,
            resource_properties: self.resource_properties,
            context: self.context,
        }
    }
}

/// The code of the permission a question names, where it names one.
pub fn permission_of(index: &Index, question: &Question<'_>) -> Option<PermissionCode> {
    resolve(index, question).ok().and_then(|(permission, _)| index.code(permission).cloned())
}

/// What a question names: the permission and the lowest level it asks for.
pub(crate) fn resolve(
    index: &Index,
    question: &Question<'_>,
) -> Result<(PermissionIndex, Option<Level>), Reason> {
    match question.asked {
        None => Err(Reason::UnknownPermission),
        Some(Asked::Permission(code)) => {
            index.permission(code).map(|permission| (permission, None)).ok_or(Reason::UnknownPermission)
        }
        Some(Asked::Action { kind, action }) => {
            if index.kind(kind).is_none() {
                return Err(Reason::UnknownType);
            }
            index
                .resolve(kind, action)
                .or_else(|| index.permission(action).map(|permission| (permission, None)))
                .ok_or(Reason::UnknownPermission)
        }
    }
}

impl App {
    /// Who may ask about others: the operator, whoever may see permissions in the organization, and whoever may see all organizations.
    pub async fn may_ask(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        about: Option<PrincipalId>,
    ) -> Result<(), Problem> {
        match &ctx.caller {
            Caller::Operator { .. } => return Ok(()),
            Caller::Anonymous => {
                return Err(Problem::new(
                    ProblemKind::Unauthenticated,
                    "no credential came with the request: send `Authorization: Bearer <token>`",
                ));
            }
            Caller::Principal(principal)
                if about == Some(principal.id)
                    && principal.organization.is_none_or(|of| of == organization) =>
            {
                // About oneself, as long as one may know the organization at all.
                let snapshot = self.snapshots().snapshot(organization, ctx.now).await?;
                if snapshot.shard().is_member(principal.id, ctx.now) {
                    return Ok(());
                }
            }
            Caller::Principal(_) => {}
        }
        let (here, on_platform) = ("admin.permissions.read", "platform.organizations.read");
        self.require_here_or_on_platform(ctx, organization, here, on_platform).await
    }

    /// The principal a question is about.
    pub async fn subject_of(
        &self,
        organization: OrganizationId,
        snapshot: &Snapshot,
        subject: &str,
    ) -> Result<Option<PrincipalId>, Problem> {
        if let Some(bits) = parse_uuid(subject.as_bytes()) {
            return Ok(Some(PrincipalId(bits)));
        }
        self.snapshots().principal_by_login(organization, snapshot, &text::folded_login(subject)).await
    }

    /// Decides one question. The caller was let through by `may_ask`.
    pub async fn decide(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        snapshot: &Snapshot,
        question: &Question<'_>,
    ) -> Result<Decision, Problem> {
        let subject = self.subject_of(organization, snapshot, question.subject).await?;
        self.decide_about(ctx, organization, snapshot, question, subject).await
    }

    /// Decides one question whose subject was looked up already, as a batch about one subject does once. Where the organization was taken over
    /// and the other system's rule is still asked, that one may give the answer (`shadow/`).
    pub async fn decide_about(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        snapshot: &Snapshot,
        question: &Question<'_>,
        subject: Option<PrincipalId>,
    ) -> Result<Decision, Problem> {
        let ours = self.decide_ours(ctx, organization, snapshot, question, subject).await?;
        match snapshot.mode().known() {
            Some(known) if known.mode == ShadowMode::Off => Ok(ours),
            _ => {
                Box::pin(self.answer_beside(ctx, organization, snapshot, question, subject, ours, None)).await
            }
        }
    }

    /// The same by our own rules alone.
    pub(crate) async fn decide_ours(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        snapshot: &Snapshot,
        question: &Question<'_>,
        subject: Option<PrincipalId>,
    ) -> Result<Decision, Problem> {
        let shard = snapshot.shard();
        let (permission, minimum_level) = match resolve(snapshot.index(), question) {
            Ok(found) => found,
            Err(reason) => return Ok(denied(reason, shard.revision())),
        };
        let Some(subject) = subject else {
            return Ok(denied(Reason::UnknownSubject, shard.revision()));
        };
        if question.subject_kind.is_some_and(|kind| shard.kind_of(subject).is_some_and(|is| is != kind)) {
            return Ok(denied(Reason::UnknownSubject, shard.revision()));
        }
        let context = question.circumstances();
        let ceiling = ctx.ceiling_of(subject).map(|ceiling| ceiling.under(snapshot.index()));
        let mut check = Check {
            subject,
            permission,
            minimum_level,
            resource: question.resource.map(|(kind, id)| CheckResource {
                kind,
                id,
                registered_elsewhere: false,
            }),
            now: ctx.now,
            context: &context,
            ceiling: ceiling.as_ref(),
        };
        let decision = shard.decide(&check);
        // Whether another organization registered the resource matters only where the answer would be yes.
        if decision.is_allow()
            && let Some((kind, id)) = question.resource
            && !shard.is_registered(kind, id)
            && self.registered_elsewhere(organization, snapshot.index(), kind, id).await?
        {
            check.resource = Some(CheckResource { kind, id, registered_elsewhere: true });
            return Ok(shard.decide(&check));
        }
        Ok(decision)
    }

    pub(crate) async fn registered_elsewhere(
        &self,
        organization: OrganizationId,
        index: &Index,
        kind: &str,
        id: &str,
    ) -> Result<bool, Problem> {
        let Some(known) = index.kind(kind) else { return Ok(false) };
        for name in index.kind_names(known) {
            if !self.snapshots().is_kind_registered(name) {
                continue;
            }
            let Ok(kind) = name.parse() else { continue };
            let resource = ResourceRef { kind, id: id.into() };
            let found = reading_all!(self.database(), |conn| async move {
                store::resource::registered_elsewhere(conn, organization, &resource).await
            })?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether what was allowed is also within a limit (E9), with what somebody should know of the limit. Nothing is counted.
    pub async fn within_limit(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        asked: Option<&LimitAsked>,
        decision: Decision,
    ) -> Result<(Decision, Option<String>), Problem> {
        let Some(asked) = asked.filter(|_| decision.is_allow()) else { return Ok((decision, None)) };
        let found = limit::check(self, organization, &asked.limit, asked.amount, ctx.now).await;
        let found = found.map_err(|problem| match problem.kind {
            ProblemKind::NotFound => Problem::invalid("limit", problem.detail),
            _ => problem,
        })?;
        Ok(match found.reason {
            Some(reason) => (denied(reason, decision.revision), found.warning),
            // What is used changes at any time: the answer is good at this instant alone.
            None => (Decision { valid_until: Some(ctx.now), ..decision }, found.warning),
        })
    }

    /// Takes note of a denial a caller was told, for the audit trail.
    pub async fn note_denial(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        snapshot: &Snapshot,
        question: &Question<'_>,
        decision: &Decision,
    ) {
        if decision.is_allow() {
            return;
        }
        if let Ok(Some(principal)) = self.subject_of(organization, snapshot, question.subject).await {
            self.note_denial_of(ctx, organization, principal, question, decision);
        }
    }

    /// The same for a subject that was looked up already.
    pub fn note_denial_of(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        principal: PrincipalId,
        question: &Question<'_>,
        decision: &Decision,
    ) {
        if decision.is_allow() {
            return;
        }
        let permission = match question.asked {
            Some(Asked::Permission(code)) => Joined(code, None),
            Some(Asked::Action { kind, action }) => Joined(kind, Some(action)),
            None => Joined("", None),
        };
        self.denials().record(&Denial {
            organization,
            principal,
            login: question.subject,
            permission,
            resource: question.resource.map(|(kind, id)| Joined(kind, Some(id))),
            reason: decision.reason,
            address: question.address.or(ctx.address),
            request: Some(ctx.request),
            at: ctx.now,
        });
    }

    /// How old the facts may be.
    pub fn age_seconds(&self, ctx: &RequestContext) -> i64 {
        self.snapshots().age_seconds(ctx.now)
    }
}

/// Answers one question and takes note of a denial.
pub async fn check(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    at_least: Option<Revision>,
    question: &Question<'_>,
    limit: Option<&LimitAsked>,
) -> Result<Answer, Problem> {
    let snapshot = pinned(app, ctx, organization, at_least).await?;
    let decision = app.decide(ctx, organization, &snapshot, question).await?;
    let (decision, warning) = app.within_limit(ctx, organization, limit, decision).await?;
    app.note_denial(ctx, organization, &snapshot, question, &decision).await;
    let answered_by = snapshot.answered_by(&decision);
    Ok(Answer { decision, age_seconds: app.age_seconds(ctx), warning, answered_by })
}

/// The snapshot every part of one request is answered from.
pub async fn pinned(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    at_least: Option<Revision>,
) -> Result<Arc<Snapshot>, Problem> {
    match at_least {
        Some(revision) => app.snapshots().at_least(organization, revision, ctx.now).await,
        None => app.snapshots().snapshot(organization, ctx.now).await,
    }
}

/// The answer to a question with a name that does not exist: what comes close to it may have been meant.
fn unknown(
    index: &Index,
    facts: &OrganizationFacts,
    question: &Question<'_>,
    reason: Reason,
    revision: Revision,
) -> Explanation {
    let logins: Vec<&str> = facts.members.iter().map(|member| member.login.as_str()).collect();
    let codes: Vec<&str> = index.codes().iter().map(PermissionCode::as_str).collect();
    let (wrong, words, list) = match (reason, question.asked) {
        (Reason::UnknownSubject, _) => (question.subject, logins, "`charter members list` has the members"),
        (_, Some(Asked::Permission(code))) => (code, codes, "`charter catalogue show` has every permission"),
        (Reason::UnknownType, Some(Asked::Action { kind, .. })) => {
            let kinds = index.catalogue().resource_types.iter().map(|it| it.key.as_str());
            let of_codes = index.codes().iter().map(PermissionCode::resource);
            (kind, kinds.chain(of_codes).collect(), "`charter catalogue show` has every type")
        }
        (_, Some(Asked::Action { kind, action })) => {
            let of_kind = index.catalogue().resource_types.iter().filter(|it| it.key.as_str() == kind);
            let of_kind = of_kind.flat_map(|it| it.actions.iter().map(|it| it.action.as_str()));
            let of_codes = index.codes().iter().filter(|code| code.resource() == kind);
            let actions = of_kind.chain(of_codes.map(PermissionCode::action)).collect();
            (action, actions, "`charter catalogue show` has the actions of every type")
        }
        (_, None) => return Explanation::of(denied(reason, revision)),
    };
    let words = charter_catalogue::document::nearest(wrong, &words)
        .map_or_else(|| list.to_owned(), |near| format!("did you mean {near}?"));
    let remedy = Remedy { layer: reason.layer(), words, roles: Vec::new(), plans: Vec::new(), at: None };
    Explanation { remedies: vec![remedy], ..Explanation::of(denied(reason, revision)) }
}

/// Answers one question by the plain reference path over the facts, with every row that decided and what would change the answer;
/// as of another instant when asked, by the facts of today.
pub async fn explain(
    app: &App,
    ctx: &RequestContext,
    organization: OrganizationId,
    at: Option<Timestamp>,
    question: &Question<'_>,
) -> Result<(Explanation, OrganizationFacts), Problem> {
    app.snapshots().require_fresh(ctx.now)?;
    let facts = crate::facts(app, organization).await?;
    let index = app.snapshots().index();
    let revision = facts.organization.revision;
    let (permission, minimum_level) = match resolve(&index, question) {
        Ok(found) => found,
        Err(reason) => return Ok((unknown(&index, &facts, question, reason, revision), facts)),
    };
    let folded = text::fold_login(question.subject);
    let by_id = parse_uuid(question.subject.as_bytes()).map(PrincipalId);
    let known = facts
        .members
        .iter()
        .find(|member| Some(member.principal) == by_id || member.login == folded)
        .filter(|member| question.subject_kind.is_none_or(|kind| kind == member.kind))
        .map(|member| member.principal);
    let Some(subject) = known.or(by_id) else {
        return Ok((unknown(&index, &facts, question, Reason::UnknownSubject, revision), facts));
    };
    let registered_here = |kind: &str, id: &str| {
        facts
            .resources
            .iter()
            .any(|row| index.kind(row.resource.kind.as_str()) == index.kind(kind) && &*row.resource.id == id)
    };
    let context = question.circumstances();
    let ceiling = ctx.ceiling_of(subject).map(|ceiling| ceiling.under(&index));
    let mut check = Check {
        subject,
        permission,
        minimum_level,
        resource: question.resource.map(|(kind, id)| CheckResource { kind, id, registered_elsewhere: false }),
        now: at.unwrap_or(ctx.now),
        context: &context,
        ceiling: ceiling.as_ref(),
    };
    let mut explanation = reference::decide(&index, &facts, &check);
    // As in a check: whether another organization registered the resource matters only where the answer would be yes. A denial tells
    // nobody what others have.
    if explanation.decision.is_allow()
        && let Some((kind, id)) = question.resource
        && !registered_here(kind, id)
        && app.registered_elsewhere(organization, &index, kind, id).await?
    {
        check.resource = Some(CheckResource { kind, id, registered_elsewhere: true });
        explanation = reference::decide(&index, &facts, &check);
    }
    Ok((explanation, facts))
}
