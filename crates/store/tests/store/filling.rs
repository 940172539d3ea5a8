//! Puts a small world into a database, in an order in which what is referred to comes first.

use charter_db::{Error, Tx};
use charter_kernel::entitlement::SubscriptionFact;
use charter_kernel::facts::OrganizationFacts;
use charter_store::{
    assignment, block, condition, entitlement, grant, limit, membership, organization, preview, principal,
    resource, revision, role, subscription, team,
};
use charter_testkit::database::TestDatabase;

use crate::world::*;

pub fn subscription_row(subscription: SubscriptionFact) -> subscription::SubscriptionRow {
    subscription::SubscriptionRow {
        subscription,
        status: subscription::SubscriptionStatus::Active,
        grace_days: 7,
        read_only_days: 30,
        end_action: subscription::EndAction::FallbackPlan(Some(key("starter"))),
        pinned: true,
        created_at: NOW,
        updated_at: NOW,
    }
}

/// Inserts everything, in an order in which what is referred to comes first.
pub async fn insert_world(tx: &mut Tx, facts: &OrganizationFacts) -> Result<(), Error> {
    let it = facts;
    let organization = it.organization.id;
    organization::insert(tx, &it.organization, NOW).await?;
    revision::bump(tx, organization, NOW).await?;
    for member in &it.members {
        let number = member.principal.0;
        if principal::by_id(tx, member.principal).await?.is_none() {
            principal::insert(tx, &person(number)).await?;
        }
        membership::insert(
            tx,
            organization,
            member.principal,
            member.status,
            member.window,
            &member.attributes,
            NOW,
        )
        .await?;
    }
    for condition in &it.conditions {
        condition::insert(tx, organization, condition, NOW).await?;
    }
    for team in &it.teams {
        team::insert(tx, organization, team, NOW).await?;
    }
    for role in &it.roles {
        role::insert(tx, organization, role, NOW).await?;
    }
    for assignment in &it.assignments {
        let row = assignment::AssignmentRow {
            assignment: assignment.clone(),
            reason: "hired".to_owned(),
            given: GIVEN,
        };
        assignment::insert(tx, organization, &row).await?;
    }
    for grant in &it.grants {
        grant::insert(tx, organization, grant).await?;
    }
    for block in &it.blocks {
        block::insert(tx, organization, &block::BlockRow { block: block.clone(), given: GIVEN }).await?;
    }
    for resource in &it.resources {
        resource::put(tx, organization, resource, NOW).await?;
    }
    for row in &it.entitlements {
        assert_eq!(entitlement::insert(tx, organization, row, GIVEN).await?, Some(1));
    }
    for preview in &it.previews {
        preview::add(tx, organization, preview, GIVEN).await?;
    }
    for subscription in &it.subscriptions {
        subscription::insert(tx, organization, &subscription_row(subscription.clone())).await?;
    }
    for over in &it.limit_overrides {
        limit::insert(tx, organization, over, GIVEN).await?;
    }
    Ok(())
}

/// A migrated database with catalogue, plan and two organizations, `toys` at 1000 and `trade` at 2000.
pub async fn two_organizations(db: &TestDatabase) -> (OrganizationFacts, OrganizationFacts) {
    migrated(db).await;
    let (toys, trade) = (small_world(1000, "toys"), small_world(2000, "trade"));
    let (first, second) = (toys.clone(), trade.clone());
    crate::write!(db, tx => async {
        shared(tx).await?;
        insert_world(tx, &first).await?;
        insert_world(tx, &second).await
    })
    .unwrap();
    (toys, trade)
}
