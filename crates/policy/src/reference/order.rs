//! The order of the decision, step by step, each step one plain look at the rows.

use super::grants::Level;
use super::walk::{Answer, Walk, span};
use charter_kernel::PermissionCode;
use charter_kernel::catalogue::{ModuleScope, ResourceType};
use charter_kernel::facts::{MemberFact, OrganizationKind, OrganizationStatus, PrincipalStatus};
use charter_kernel::{DecidedBy, Effect, Reason, Window};

impl<'a> Walk<'a> {
    pub(super) fn decide(&mut self) -> Answer {
        let no = |reason| (reason, DecidedBy::Nothing, false);
        let (check, facts) = (self.check, self.facts);
        // 0 names
        let Some(code) = self.code else {
            self.note("names", None, "the permission is not in the catalogue, or is retired");
            return no(Reason::UnknownPermission);
        };
        if let Some(resource) = check.resource
            && self.index.kind(resource.kind).is_none()
        {
            self.note("names", None, format!("type of resource {} is not in the catalogue", resource.kind));
            return no(Reason::UnknownType);
        }
        if let Some(resource) = check.resource
            && let Some(right) = self.right_name(code, resource.kind)
        {
            self.note(
                "names",
                None,
                format!(
                    "{} of {} are resources of type {right}: ask about {right}:{}",
                    resource.kind,
                    code.module(),
                    resource.id
                ),
            );
            return no(Reason::UnknownType);
        }
        // 1 organization
        let organization = &facts.organization;
        let is_platform = organization.kind == OrganizationKind::Platform;
        let module = self.index.catalogue().module(code.module());
        if module.is_some_and(|module| module.scope == ModuleScope::System) && !is_platform {
            self.note(
                "organization",
                None,
                format!("module {} works in the platform organization only", code.module()),
            );
            return no(Reason::SystemScope);
        }
        match organization.status {
            OrganizationStatus::Active => {
                self.note("organization", None, format!("organization {} is active", organization.key));
            }
            OrganizationStatus::Closed => {
                self.note("organization", None, format!("organization {} is closed", organization.key));
                return no(Reason::OrganizationClosed);
            }
            OrganizationStatus::Suspended => {
                let listed = code.action() == "export"
                    || ["admin.org_entitlements.read", "audit.events.read"].contains(&code.as_str());
                if !(listed && self.administers()) {
                    self.note(
                        "organization",
                        None,
                        format!("organization {} is suspended: only its administrators may export and read entitlements and audit", organization.key),
                    );
                    return no(Reason::OrganizationSuspended);
                }
                self.note(
                    "organization",
                    None,
                    format!(
                        "organization {} is suspended, but this goes on for its administrators",
                        organization.key
                    ),
                );
            }
        }
        // 2 principal, 3 membership
        let members: Vec<&MemberFact> =
            facts.members.iter().filter(|member| member.principal == check.subject).collect();
        if members.is_empty() {
            self.note("membership", None, "the account is not a member of the organization");
            return no(Reason::NotAMember);
        }
        let never_together = Window::new(
            members.iter().filter_map(|member| member.window.from()).max(),
            members.iter().filter_map(|member| member.window.to()).min(),
        )
        .is_err();
        if never_together || members.iter().any(|member| member.standing() != PrincipalStatus::Active) {
            self.note("principal", None, "the account is not active");
            return no(Reason::PrincipalInactive);
        }
        for member in &members {
            let live = self.live(member.window);
            self.note("membership", None, format!("{} is a member {}", member.login, span(member.window)));
            if !live {
                if let Some(from) = member.window.from().filter(|from| *from > check.now) {
                    self.opens.push((from, "the membership begins".to_owned()));
                }
                return no(Reason::NotAMember);
            }
        }
        // 4 resource
        if check.resource.is_some_and(|resource| resource.registered_elsewhere) {
            self.note("resource", None, "the resource is registered in another organization");
            return no(Reason::CrossOrganization);
        }
        if let Some(resource) = check.resource {
            let kind = self.index.kind(resource.kind);
            let all_registered = self
                .index
                .catalogue()
                .resource_types
                .iter()
                .any(|it| it.registered && self.index.kind(it.key.as_str()) == kind);
            let exists = facts
                .resources
                .iter()
                .any(|it| self.same_kind(&it.resource.kind, &resource) && *it.resource.id == *resource.id);
            if all_registered && !exists {
                self.note("resource", None, format!("there is no {}:{}", resource.kind, resource.id));
                return no(Reason::UnknownResource);
            }
        }
        // 5 ceiling
        if check.ceiling.is_some_and(|ceiling| !ceiling.contains(check.permission)) {
            self.note("ceiling", None, "the credential used is not meant for this permission");
            return no(Reason::OutOfScope);
        }
        // 6 entitlement
        let in_grace = match self.entitled(code, is_platform) {
            Ok(in_grace) => in_grace,
            Err(reason) => return no(reason),
        };
        // 7 block
        if let Some(answer) = self.blocked(code) {
            return answer;
        }
        // 8 the one resource, 9 its type, 10 the subject
        for level in [Level::Resource, Level::Type, Level::Organization] {
            if let Some((reason, decided_by)) = self.granted(code, level) {
                return (reason, decided_by, in_grace && reason.effect() == Effect::Allow);
            }
        }
        // 11 roles
        self.by_roles(code, in_grace)
    }

    /// The type a thing belongs to for a permission, where the name used is the middle word of the permission, a type has
    /// taken that word in that module, and the word alone does not stand for the type.
    fn right_name(&self, code: &PermissionCode, name: &str) -> Option<&'a str> {
        let types = &self.index.catalogue().resource_types;
        if name != code.resource() || types.iter().any(|it| it.key.as_str() == name) {
            return None;
        }
        let leads = |word: &str, kind: &ResourceType| {
            let times =
                |word: &str| kind.actions.iter().filter(|it| it.permission.resource() == word).count();
            let others = kind.actions.iter().map(|it| it.permission.resource()).filter(|it| *it != word);
            others.map(times).all(|other| other < times(word))
        };
        let taken = types.iter().find(|kind| {
            let mut here = kind.actions.iter().map(|it| &it.permission);
            here.any(|it| it.module() == code.module() && it.resource() == name) && leads(name, kind)
        })?;
        (self.index.kind(name) != self.index.kind(taken.key.as_str())).then(|| taken.key.as_str())
    }
}
