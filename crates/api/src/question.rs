//! Questions as callers put them: a subject, a permission or an action on a type, a resource, the circumstances; and who may put
//! them. Checks, searches and the plain forms read them here.

use crate::edge::wire;
use charter_app::caller::is_multi_factor;
use charter_app::check::{self, Asked, Question};
use charter_app::{App, RequestContext, resource};
use charter_kernel::{OrganizationId, Problem};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// The thing a check is about.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CheckedResource")]
pub struct ResourceAsked {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
    /// Its attributes, as the caller says; they count as far as the organization lets callers assert them.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub properties: Option<Map<String, Value>>,
}

/// The words all questions have in common.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CheckDefaults")]
pub struct Words {
    /// Login or id of the principal; the caller itself when left out.
    #[serde(default)]
    pub subject: Option<String>,
    /// The permission.
    #[serde(default)]
    pub permission: Option<String>,
    /// In place of a permission: an action on a type of resource.
    #[serde(default)]
    pub action: Option<String>,
    /// The type of resource, where no resource names it.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// The thing it is about; the organization as a whole when left out.
    #[serde(default)]
    pub resource: Option<ResourceAsked>,
    /// Attributes of the principal, as the caller says.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub subject_properties: Option<Map<String, Value>>,
    /// Attributes of the action, as the caller says.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub action_properties: Option<Map<String, Value>>,
    /// The principal's request: `address` (where it comes from), `mfa` (a second factor was proved), `amr` (how the principal
    /// signed in, RFC 8176), and whatever else conditions read.
    #[serde(default)]
    #[schemars(with = "Option<wire::AnyObject>")]
    pub context: Option<Map<String, Value>>,
}

impl Words {
    /// The same with what is left out taken from defaults.
    pub(crate) fn or(self, defaults: &Self) -> Self {
        let names_something = self.permission.is_some() || self.action.is_some();
        Self {
            subject: self.subject.or_else(|| defaults.subject.clone()),
            permission: if names_something { self.permission } else { defaults.permission.clone() },
            action: if names_something { self.action } else { defaults.action.clone() },
            kind: self.kind.or_else(|| defaults.kind.clone()),
            resource: self.resource.or_else(|| defaults.resource.clone()),
            subject_properties: self.subject_properties.or_else(|| defaults.subject_properties.clone()),
            action_properties: self.action_properties.or_else(|| defaults.action_properties.clone()),
            context: self.context.or_else(|| defaults.context.clone()),
        }
    }

    /// Whether the question is about the caller itself.
    pub(crate) fn is_about_caller(&self, ctx: &RequestContext) -> bool {
        let Some(caller) = ctx.principal() else { return false };
        self.subject.as_deref().is_none_or(|subject| {
            charter_app::text::fold_login(subject) == caller.login || subject.parse() == Ok(caller.id)
        })
    }

    /// The permission, or the action on a type, that is asked for.
    pub(crate) fn asked(&self, at: &str) -> Result<Asked<'_>, Problem> {
        let field = |name: &str| format!("{at}{name}");
        match (&self.permission, &self.action) {
            (Some(_), Some(_)) => Err(Problem::invalid(
                field("action"),
                "a permission or an action on a type is expected, not both",
            )),
            (Some(code), None) => Ok(Asked::Permission(code)),
            (None, Some(action)) => {
                let kind = match (&self.kind, &self.resource) {
                    (Some(kind), Some(resource)) if *kind != resource.kind => {
                        return Err(Problem::invalid(
                            field("type"),
                            format!("the resource is a {}: leave one of them out", resource.kind),
                        ));
                    }
                    (Some(kind), _) => kind,
                    (None, Some(resource)) => &resource.kind,
                    (None, None) => {
                        return Err(Problem::invalid(
                            field("type"),
                            "an action needs the type of resource it is done to",
                        ));
                    }
                };
                Ok(Asked::Action { kind, action })
            }
            (None, None) => Err(Problem::invalid(
                field("permission"),
                "is missing: a permission, or an action and a type, is expected",
            )),
        }
    }

    /// The question in the words of the floor below; `asked` and the subject are still to be filled in.
    pub(crate) fn question<'a>(&'a self, ctx: &'a RequestContext, at: &str) -> Result<Question<'a>, Problem> {
        let wrong = |name: &str, what: &str| Problem::invalid(format!("{at}context.{name}"), what.to_owned());
        let context = self.context.as_ref();
        let get = |name: &str| context.and_then(|context| context.get(name));
        let address = match get("address") {
            None => None,
            Some(Value::String(text)) => {
                let parsed: Result<IpAddr, _> = text.parse();
                Some(parsed.map_err(|_| wrong("address", "an address is expected, for example 192.0.2.7"))?)
            }
            Some(_) => return Err(wrong("address", "an address is expected, for example 192.0.2.7")),
        };
        let mut amr: Vec<&str> = match get("amr") {
            None => Vec::new(),
            Some(Value::Array(methods)) => methods
                .iter()
                .map(|method| method.as_str().ok_or_else(|| wrong("amr", "a list of texts is expected")))
                .collect::<Result<_, _>>()?,
            Some(_) => {
                return Err(wrong("amr", "a list of texts is expected, for example [\"pwd\", \"otp\"]"));
            }
        };
        let mut mfa = match get("mfa") {
            None => is_multi_factor(amr.iter().copied()),
            Some(Value::Bool(mfa)) => *mfa,
            Some(_) => return Err(wrong("mfa", "true or false is expected")),
        };
        if self.resource.as_ref().is_some_and(|resource| !resource::is_id(&resource.id)) {
            return Err(resource::wrong_id(&format!("{at}resource.id")));
        }
        let mut question = Question {
            subject: self.subject.as_deref().unwrap_or_default(),
            resource: self.resource.as_ref().map(|resource| (resource.kind.as_str(), resource.id.as_str())),
            address,
            subject_properties: self.subject_properties.as_ref(),
            action_properties: self.action_properties.as_ref(),
            resource_properties: self.resource.as_ref().and_then(|resource| resource.properties.as_ref()),
            context,
            ..Question::default()
        };
        if let Some(caller) = ctx.principal()
            && self.is_about_caller(ctx)
        {
            // About oneself, this very request is the request unless another one is described.
            if self.subject.is_none() {
                question.subject = &caller.login;
            }
            question.address = question.address.or(ctx.address);
            if get("amr").is_none() && get("mfa").is_none() {
                amr = caller.amr.iter().map(String::as_str).collect();
                mfa = is_multi_factor(amr.iter().copied());
            }
        }
        if question.subject.is_empty() {
            return Err(Problem::invalid(format!("{at}subject"), "is missing: a login or id is expected"));
        }
        question.amr = amr;
        question.mfa = mfa;
        Ok(question)
    }
}

/// The place of questions about an organization.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct AskedPath {
    /// Key or id of the organization.
    pub organization: String,
}

/// The organization a caller asks about, once it is known that the caller may ask: about itself, or about others.
pub(crate) async fn may_ask(
    app: &App,
    ctx: &RequestContext,
    organization: &str,
    about_self: bool,
) -> Result<OrganizationId, Problem> {
    let id = app.resolve_organization(organization).await?;
    let about = ctx.principal().filter(|_| about_self).map(|caller| caller.id);
    app.may_ask(ctx, id, about).await?;
    Ok(id)
}

pub(crate) fn permission_of(app: &App, question: &Question<'_>) -> Option<String> {
    check::permission_of(&app.snapshots().index(), question).map(|code| code.to_string())
}

/// Why questions need no permission of the route's own.
pub(crate) const WHY: &str =
    "the handler lets members ask about themselves, and holders of admin.permissions.read about everybody";
