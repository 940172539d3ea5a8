//! The guard: asks the engine, and gives a `Permit` when it allows. A use case takes a `Permit`; nothing else makes one.

use crate::App;
use crate::caller::{Caller, RequestContext, is_multi_factor};
use crate::denial::{Denial, Joined};
use crate::identity::demand;
use charter_kernel::{Decision, OrganizationId, Problem, ProblemKind, Reason};
use charter_policy::{Check, Context};

/// Proof that this caller may do this in this organization, at the instant of the request.
#[derive(Debug, Clone)]
pub struct Permit {
    organization: OrganizationId,
    permission: &'static str,
}

impl Permit {
    /// The organization it is for.
    pub fn organization(&self) -> OrganizationId {
        self.organization
    }

    /// The permission it proves.
    pub fn permission(&self) -> &'static str {
        self.permission
    }
}

impl App {
    /// Lets a caller through who holds the permission in the organization, or says why not: 401 unknown caller, 404 for
    /// who may not know the organization exists, 403 with the reason otherwise; 401 again for who holds it and lacks the second factor
    /// that the organization demands. Each refusal is recorded.
    pub async fn require(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        permission: &'static str,
    ) -> Result<Permit, Problem> {
        let principal = match &ctx.caller {
            Caller::Operator { .. } => return Ok(Permit { organization, permission }),
            Caller::Anonymous => {
                return Err(Problem::new(
                    ProblemKind::Unauthenticated,
                    "no credential came with the request: send `Authorization: Bearer <token>`",
                ));
            }
            Caller::Principal(principal) => principal,
        };
        // An organization that is not there has no trail a refusal could stand on.
        let snapshot = self.snapshots().snapshot(organization, ctx.now).await?;
        // A credential made for one organization opens no other, whoever's it is: the answer is that of an unknown one.
        if principal.organization.is_some_and(|of| of != organization) {
            self.denials().record(&Denial {
                organization,
                principal: principal.id,
                login: &principal.login,
                permission: Joined(permission, None),
                resource: None,
                reason: Reason::NotAMember,
                address: ctx.address,
                request: Some(ctx.request),
                at: ctx.now,
            });
            return Err(Problem::not_found("no such organization, or you are not a member of it"));
        }
        let Some(index) = snapshot.index().permission(permission) else {
            return Err(Problem::new(
                ProblemKind::Internal,
                format!("permission {permission} is not in the catalogue"),
            ));
        };
        let amr: Vec<&str> = principal.amr.iter().map(String::as_str).collect();
        let context = Context {
            address: ctx.address,
            mfa: is_multi_factor(amr.iter().copied()),
            amr: &amr,
            ..Context::default()
        };
        let ceiling = principal.ceiling.as_ref().map(|ceiling| ceiling.under(snapshot.index()));
        let decision = snapshot.shard().decide(&Check {
            subject: principal.id,
            permission: index,
            minimum_level: None,
            resource: None,
            now: ctx.now,
            context: &context,
            ceiling: ceiling.as_ref(),
        });
        let (reason, refused) = if decision.is_allow() {
            match demand::require(self, ctx, principal, organization, &snapshot, permission).await {
                Ok(()) => return Ok(Permit { organization, permission }),
                Err(lacking) if lacking.kind.status() == 401 => (Reason::StepUpRequired, lacking),
                Err(problem) => return Err(problem),
            }
        } else {
            (decision.reason, refusal(permission, &decision))
        };
        self.denials().record(&Denial {
            organization,
            principal: principal.id,
            login: &principal.login,
            permission: Joined(permission, None),
            resource: None,
            reason,
            address: ctx.address,
            request: Some(ctx.request),
            at: ctx.now,
        });
        Err(refused)
    }

    /// Lets a caller read who holds one permission in the organization or the other in the platform organization. A credential of the
    /// platform is judged there alone, so that its readings leave no refusals on the organization's trail.
    pub async fn require_here_or_on_platform(
        &self,
        ctx: &RequestContext,
        organization: OrganizationId,
        here: &'static str,
        on_platform: &'static str,
    ) -> Result<(), Problem> {
        let of_platform = ctx.principal().is_some_and(|caller| caller.organization == Some(self.platform()));
        if of_platform && organization != self.platform() {
            return match self.require(ctx, self.platform(), on_platform).await {
                Ok(_) => Ok(()),
                Err(problem) if problem.kind == ProblemKind::Forbidden => {
                    Err(Problem::not_found("no such organization, or you are not a member of it"))
                }
                Err(problem) => Err(problem),
            };
        }
        let Err(refused) = self.require(ctx, organization, here).await else { return Ok(()) };
        if refused.kind == ProblemKind::Unavailable {
            return Err(refused);
        }
        self.require(ctx, self.platform(), on_platform).await.map(drop).map_err(|_| refused)
    }

    /// Lets anybody who is signed in through.
    pub fn require_signed_in(&self, ctx: &RequestContext) -> Result<(), Problem> {
        match ctx.caller {
            Caller::Anonymous => Err(Problem::new(
                ProblemKind::Unauthenticated,
                "no credential came with the request: send `Authorization: Bearer <token>`",
            )),
            _ => Ok(()),
        }
    }
}

/// The problem a refused caller is told.
pub fn refusal(permission: &str, decision: &Decision) -> Problem {
    match decision.reason {
        Reason::NotAMember | Reason::NotFound | Reason::UnknownSubject => {
            Problem::not_found("no such organization, or you are not a member of it")
        }
        Reason::PrincipalInactive => {
            Problem::new(ProblemKind::Unauthenticated, "the account is not active: ask an administrator")
        }
        reason => {
            Problem::new(ProblemKind::Forbidden, format!("{permission} is needed: {}", reason.sentence()))
                .because(reason)
        }
    }
}
