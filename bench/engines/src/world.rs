//! One organization and questions about it, as plain rows, with the answers of a naive evaluation that shares nothing with any engine.
//!
//! Rules: a permission is allowed when its module is entitled, no block on the member names it, and one of these gives it: a role held
//! directly or through a team (and the teams above), a role held until an instant, a role held from the office network only, a grant on
//! the organization, on the type of the resource or on the resource itself.

use charter_catalogue::lint::codes_of;
use charter_kernel::catalogue::{Catalogue, ModuleScope};
use charter_kernel::{PermissionCode, RoleKey};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// The instant of every question, in seconds since 1970.
pub const NOW: i64 = 1_800_000_000;
/// The office network.
pub const OFFICE: &str = "10.0.0.0/8";
/// The type of the resources asked about.
pub const KIND: &str = "product";

const MEMBERS: usize = 1_000;
const TEAMS: usize = 20;
const GRANTS: usize = 100;
const BLOCKS: usize = 20;
const PRODUCTS: usize = 200;

/// Repeatable numbers.
pub struct Random(pub u64);

impl Random {
    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `sides`.
    pub fn below(&mut self, sides: usize) -> usize {
        (self.next() % sides as u64) as usize
    }
}

/// What a grant reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The whole organization.
    Organization,
    /// Every resource of the one type.
    Kind,
    /// One resource.
    Product(usize),
}

/// A member with roles of its own.
pub struct Member {
    /// Its id.
    pub id: u128,
    /// Roles held always.
    pub roles: Vec<usize>,
    /// A role held until an instant.
    pub until: Option<(usize, i64)>,
    /// A role held from the office network only.
    pub office: Option<usize>,
    /// Teams it is directly in.
    pub teams: Vec<usize>,
}

/// A team with a role.
pub struct Team {
    /// The team above.
    pub parent: Option<usize>,
    /// What its members hold.
    pub role: Option<usize>,
}

/// A permission given to one member.
pub struct Grant {
    /// Who.
    pub member: usize,
    /// What.
    pub permission: usize,
    /// On what.
    pub reach: Reach,
}

/// A permission taken from one member, whatever gives it.
pub struct Block {
    /// Who.
    pub member: usize,
    /// What.
    pub permission: usize,
}

/// A question.
#[derive(Clone, Copy)]
pub struct Question {
    /// Who asks.
    pub member: usize,
    /// What for.
    pub permission: usize,
    /// On which resource.
    pub product: Option<usize>,
    /// From where.
    pub address: IpAddr,
}

/// All rows.
pub struct World {
    /// Every permission code of the catalogue, sorted.
    pub codes: Vec<PermissionCode>,
    /// The roles of organizations.
    pub roles: Vec<RoleKey>,
    /// The permissions of each role, parents included.
    pub role_codes: Vec<BTreeSet<usize>>,
    /// Modules entitled by rows.
    pub modules: BTreeSet<String>,
    /// Modules that are on everywhere.
    pub always_on: BTreeSet<String>,
    /// Members.
    pub members: Vec<Member>,
    /// Teams; a parent stands before its children.
    pub teams: Vec<Team>,
    /// Grants.
    pub grants: Vec<Grant>,
    /// Blocks.
    pub blocks: Vec<Block>,
    /// How many resources there are.
    pub products: usize,
}

impl World {
    /// The world of a seed.
    pub fn new(catalogue: &Catalogue, seed: u64) -> Self {
        let mut random = Random(seed);
        let mut codes: Vec<PermissionCode> = catalogue.permissions.iter().map(|it| it.code.clone()).collect();
        codes.sort();
        let numbers: BTreeMap<&PermissionCode, usize> =
            codes.iter().enumerate().map(|(at, code)| (code, at)).collect();
        let roles: Vec<RoleKey> =
            catalogue.roles.iter().filter(|role| !role.system).map(|role| role.role.key.clone()).collect();
        let role_codes = roles
            .iter()
            .map(|role| codes_of(catalogue, role).iter().map(|code| numbers[code]).collect())
            .collect();
        let of_organizations =
            catalogue.modules.iter().filter(|module| module.scope == ModuleScope::Organization);
        let (always_on, others): (Vec<_>, Vec<_>) = of_organizations.partition(|module| module.always_on);
        let modules = others.iter().filter(|_| random.below(5) != 0).map(|it| it.key.to_string()).collect();
        let teams: Vec<Team> = (0..TEAMS)
            .map(|at| Team {
                parent: (at > 3).then(|| at / 4),
                role: (at % 3 == 0).then(|| random.below(roles.len())),
            })
            .collect();
        let members = (0..MEMBERS)
            .map(|_| Member {
                id: u128::from(random.next()) << 64 | u128::from(random.next()),
                roles: (0..1 + usize::from(random.below(5) == 0))
                    .map(|_| random.below(roles.len()))
                    .collect(),
                until: (random.below(10) == 0)
                    .then(|| (random.below(roles.len()), NOW + random.below(200_000) as i64 - 100_000)),
                office: (random.below(10) == 0).then(|| random.below(roles.len())),
                teams: (0..random.below(3)).map(|_| random.below(TEAMS)).collect(),
            })
            .collect();
        let count = codes.len();
        let grants = (0..GRANTS)
            .map(|_| Grant {
                member: random.below(MEMBERS),
                permission: random.below(count),
                reach: match random.below(4) {
                    0 => Reach::Organization,
                    1 => Reach::Kind,
                    _ => Reach::Product(random.below(PRODUCTS)),
                },
            })
            .collect();
        let blocks = (0..BLOCKS)
            .map(|_| Block { member: random.below(MEMBERS), permission: random.below(count) })
            .collect();
        let always_on = always_on.iter().map(|it| it.key.to_string()).collect();
        Self {
            codes,
            roles,
            role_codes,
            modules,
            always_on,
            members,
            teams,
            grants,
            blocks,
            products: PRODUCTS,
        }
    }

    /// Mixed questions: most about a member and a permission, a third on a resource, one in twenty right where a grant or block stands.
    pub fn questions(&self, seed: u64, count: usize) -> Vec<Question> {
        let mut random = Random(seed);
        (0..count)
            .map(|_| {
                let mut question = Question {
                    member: random.below(self.members.len()),
                    permission: random.below(self.codes.len()),
                    product: (random.below(3) == 0).then(|| random.below(self.products)),
                    address: IpAddr::V4(Ipv4Addr::new(if random.below(2) == 0 { 10 } else { 192 }, 1, 2, 3)),
                };
                match random.below(40) {
                    0 => {
                        let grant = &self.grants[random.below(self.grants.len())];
                        (question.member, question.permission) = (grant.member, grant.permission);
                        question.product = match grant.reach {
                            Reach::Organization => None,
                            Reach::Kind => Some(random.below(self.products)),
                            Reach::Product(product) => Some(product),
                        };
                    }
                    1 => {
                        let block = &self.blocks[random.below(self.blocks.len())];
                        (question.member, question.permission) = (block.member, block.permission);
                    }
                    _ => {}
                }
                question
            })
            .collect()
    }

    /// Whether the module of a permission is entitled.
    pub fn is_entitled(&self, permission: usize) -> bool {
        let module = self.codes[permission].module();
        self.modules.contains(module) || self.always_on.contains(module)
    }

    /// Every role a member holds always, teams included.
    pub fn plain_roles(&self, member: &Member) -> BTreeSet<usize> {
        let mut roles: BTreeSet<usize> = member.roles.iter().copied().collect();
        for team in &member.teams {
            let mut above = Some(*team);
            while let Some(team) = above {
                roles.extend(self.teams[team].role);
                above = self.teams[team].parent;
            }
        }
        roles
    }

    /// The naive answer: every rule, over every row.
    pub fn answer(&self, question: &Question) -> bool {
        let member = &self.members[question.member];
        let gives = |role: usize| self.role_codes[role].contains(&question.permission);
        let about =
            |grant: &&Grant| grant.member == question.member && grant.permission == question.permission;
        let blocked = self
            .blocks
            .iter()
            .any(|block| block.member == question.member && block.permission == question.permission);
        let by_grant = self.grants.iter().filter(about).any(|grant| match grant.reach {
            Reach::Organization => true,
            Reach::Kind => question.product.is_some(),
            Reach::Product(product) => question.product == Some(product),
        });
        let by_role = self.plain_roles(member).into_iter().any(gives)
            || member.until.is_some_and(|(role, until)| NOW < until && gives(role))
            || member.office.is_some_and(|role| is_office(question.address) && gives(role));
        self.is_entitled(question.permission) && !blocked && (by_role || by_grant)
    }

    /// The id of a member as text.
    pub fn id(&self, member: usize) -> String {
        charter_kernel::PrincipalId(self.members[member].id).to_string()
    }
}

/// Whether an address is in the office network.
fn is_office(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 10)
}
