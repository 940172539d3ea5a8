//! The one plain sentence for the person who asked.

use charter_kernel::{Effect, Reason};

/// A sentence for the person who asked: says what they can do about it, never names rows.
pub(super) fn sentence(reason: Reason, in_grace: bool) -> &'static str {
    match reason {
        _ if reason.effect() == Effect::Allow && in_grace => {
            "You may do this. Your organization's right to this part has ended and goes on for a short time only."
        }
        _ if reason.effect() == Effect::Allow => "You may do this.",
        Reason::UnknownPermission | Reason::UnknownType | Reason::SystemScope => {
            "This cannot be done here. If you came by a link or button, tell whoever runs the application."
        }
        Reason::UnknownSubject
        | Reason::UnknownResource
        | Reason::NotFound
        | Reason::NotAMember
        | Reason::CrossOrganization => {
            "This was not found, or you do not belong to the organization it is in."
        }
        Reason::OrganizationClosed => "Your organization's account is closed.",
        Reason::OrganizationSuspended => {
            "Your organization's account is suspended. Ask an administrator of your organization."
        }
        Reason::PrincipalInactive => "Your account is not active. Ask an administrator of your organization.",
        Reason::StepUpRequired => "Confirm with your second factor first.",
        Reason::OutOfScope => {
            "The key or token you use is not meant for this. Use another one, or sign in yourself."
        }
        Reason::Unavailable | Reason::LegacyUnavailable => {
            "This cannot be decided at the moment. Try again in a little while."
        }
        Reason::NotEntitled
        | Reason::SubmoduleNotEntitled
        | Reason::EntitlementBlocked
        | Reason::PreviewOnly => {
            "Your organization does not have this part of the application. Ask an administrator of your organization."
        }
        Reason::EntitlementExpired => {
            "Your organization's right to this part has ended. Ask an administrator of your organization."
        }
        Reason::ReadOnly => {
            "This part can be read and exported only, as your organization's right to it has ended."
        }
        Reason::LimitReached => "Your organization has reached the limit of its plan.",
        Reason::Blocked | Reason::DeniedOnResource | Reason::DeniedOnType | Reason::DeniedForSubject => {
            "You may not do this. If you think you should, ask an administrator of your organization."
        }
        Reason::ConditionNotMet => {
            "You may do this at other times, from other places, or under other circumstances, but not now."
        }
        Reason::LevelTooLow | Reason::NoGrant | Reason::DeniedByLegacy | Reason::LegacyUnknown => {
            "You have no right to do this. Ask an administrator of your organization for it."
        }
        Reason::GrantedOnResource
        | Reason::GrantedOnType
        | Reason::GrantedToSubject
        | Reason::GrantedByRole
        | Reason::AllowedByLegacy => "You may do this.",
    }
}
