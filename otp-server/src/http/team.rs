//! The team of an application: `/api/app/{id}/members` and the invitations to it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use otp_core::{InvitationView, TeamMember};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::apps::{OneApp, app_id};
use super::body::Unread;
use super::docs::{ConflictProblems, LimitProblems, MemberProblems, NamedProblems, SessionProblems, WriteProblems};
use super::path::Named;
use super::problem::Problem;
use super::sessions::Done;
use super::visitor::Visitor;

/// Somebody of a team.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TeamMemberBody {
    #[schema(example = "mem_1ChFmqGmfQTctUmrBj4YHw")]
    member_id: String,
    email: String,
    name: Option<String>,
    #[schema(example = "developer")]
    role: &'static str,
    #[schema(format = DateTime)]
    since: String,
    /// Null for whoever made the application.
    invited_by: Option<String>,
}

impl From<TeamMember> for TeamMemberBody {
    fn from(member: TeamMember) -> Self {
        Self {
            member_id: member.id.to_string(),
            email: member.email,
            name: member.name,
            role: member.role.as_str(),
            since: member.since.to_string(),
            invited_by: member.invited_by.map(|by| by.to_string()),
        }
    }
}

/// Somebody who was asked to join and has not done so.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct InvitationBody {
    #[schema(example = "inv_1ChFmqGmfQTctUmrBj4YHw")]
    invitation_id: String,
    email: String,
    #[schema(example = "developer")]
    role: &'static str,
    invited_by: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

impl From<InvitationView> for InvitationBody {
    fn from(invitation: InvitationView) -> Self {
        Self {
            invitation_id: invitation.id.to_string(),
            email: invitation.email,
            role: invitation.role.as_str(),
            invited_by: invitation.invited_by.to_string(),
            expires_at: invitation.expires_at.to_string(),
        }
    }
}

/// The team.
#[derive(Serialize, ToSchema)]
pub struct TeamBody {
    success: bool,
    members: Vec<TeamMemberBody>,
    invitations: Vec<InvitationBody>,
}

/// The team of an application, and who was asked to join it.
#[utoipa::path(
    get, path = "/api/app/{id}/members", operation_id = "showTeam", tag = "Applications",
    security(("memberSession" = []), ("memberToken" = [])),
    params(("id" = String, Path, description = "The application.")),
    responses((status = 200, description = "The team.", body = TeamBody), NamedProblems, SessionProblems)
)]
pub async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(id): Named<String>,
) -> Result<Json<TeamBody>, Problem> {
    let caller = visitor.member(&app).await?;
    let (members, invitations) = app.service.team(&caller, app_id(&id)?).await?;
    let members = members.into_iter().map(TeamMemberBody::from).collect();
    let invitations = invitations.into_iter().map(InvitationBody::from).collect();
    Ok(Json(TeamBody { success: true, members, invitations }))
}

/// Who is to join, and as what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteBody {
    #[schema(example = "ben@acme.com")]
    email: String,
    /// `owner`, `admin`, `developer`, `billing` or `viewer`.
    #[schema(example = "developer")]
    role: String,
}

/// The invitation.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invited {
    success: bool,
    invitation_id: String,
}

/// Asks somebody to join, by a mail whose code works once within seven days and for that address only. Owners and admins may; an
/// owner is invited by an owner.
#[utoipa::path(
    post, path = "/api/app/{id}/invitations", operation_id = "inviteToTeam", tag = "Applications",
    request_body = InviteBody, security(("memberSession" = []), ("memberToken" = [])),
    params(("id" = String, Path, description = "The application.")),
    responses(
        (status = 201, description = "The mail is on its way.", body = Invited),
        NamedProblems, MemberProblems, WriteProblems, ConflictProblems, LimitProblems,
    )
)]
pub async fn invite(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named(id): Named<String>,
    body: Unread<InviteBody>,
) -> Result<Response, Problem> {
    let caller = visitor.member(&app).await?;
    let InviteBody { email, role } = body.read().await?.value;
    let role = role.parse().map_err(otp_core::Error::Invalid)?;
    let invitation = app.service.invite(&caller, app_id(&id)?, &email, role).await?;
    let body = Invited { success: true, invitation_id: invitation.to_string() };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// Takes an invitation back. Owners and admins may.
#[utoipa::path(
    delete, path = "/api/app/{id}/invitations/{invitationId}", operation_id = "revokeInvitation", tag = "Applications",
    security(("memberSession" = []), ("memberToken" = [])),
    params(
        ("id" = String, Path, description = "The application."),
        ("invitationId" = String, Path, description = "The invitation."),
    ),
    responses((status = 200, description = "It opens nothing any more.", body = Done), NamedProblems, MemberProblems)
)]
pub async fn revoke(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named((id, invitation)): Named<(String, String)>,
) -> Result<Json<Done>, Problem> {
    let caller = visitor.member(&app).await?;
    let (id, invitation) = (app_id(&id)?, invitation.parse().map_err(|_| Problem::not_found("invitation")));
    // An app of others reads like one that is not there, whatever the invitation is called.
    app.service.app(&caller, id).await?;
    app.service.revoke_invitation(&caller, id, invitation?).await?;
    Ok(Done::saying("Invitation taken back"))
}

/// The code of an invitation's mail.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptBody {
    code: String,
}

/// Joins the team that you were invited to, by the code of the mail to your address.
#[utoipa::path(
    post, path = "/api/auth/invitations", operation_id = "acceptInvitation", tag = "Members", request_body = AcceptBody,
    security(("memberSession" = []), ("memberToken" = [])),
    responses(
        (status = 200, description = "The application.", body = OneApp),
        NamedProblems, MemberProblems, WriteProblems, ConflictProblems,
    )
)]
pub async fn accept(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    body: Unread<AcceptBody>,
) -> Result<Json<OneApp>, Problem> {
    let caller = visitor.member(&app).await?;
    let code = body.read().await?.value.code;
    Ok(OneApp::of(app.service.accept_invitation(&caller, &code).await?))
}

/// Another role.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppointBody {
    /// `owner`, `admin`, `developer`, `billing` or `viewer`.
    #[schema(example = "admin")]
    role: String,
}

/// The role.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Appointed {
    success: bool,
    member_id: String,
    role: &'static str,
}

/// Gives somebody of the team another role, at once. Owners and admins may; only owners have a say about owners, and the last one
/// stays one.
#[utoipa::path(
    put, path = "/api/app/{id}/members/{memberId}", operation_id = "appointMember", tag = "Applications",
    request_body = AppointBody, security(("memberSession" = []), ("memberToken" = [])),
    params(
        ("id" = String, Path, description = "The application."),
        ("memberId" = String, Path, description = "The member."),
    ),
    responses(
        (status = 200, description = "The role.", body = Appointed),
        NamedProblems, MemberProblems, WriteProblems, ConflictProblems,
    )
)]
pub async fn appoint(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named((id, member)): Named<(String, String)>,
    body: Unread<AppointBody>,
) -> Result<Json<Appointed>, Problem> {
    let caller = visitor.member(&app).await?;
    let role = body.read().await?.value.role.parse().map_err(otp_core::Error::Invalid)?;
    let (id, parsed) = (app_id(&id)?, member.parse().map_err(|_| Problem::not_found("member")));
    app.service.app(&caller, id).await?;
    let role = app.service.appoint(&caller, id, parsed?, role).await?;
    Ok(Json(Appointed { success: true, member_id: member, role: role.as_str() }))
}

/// Removes somebody from the team, at once. Owners and admins may; everybody may leave, but the last owner.
#[utoipa::path(
    delete, path = "/api/app/{id}/members/{memberId}", operation_id = "removeFromTeam", tag = "Applications",
    security(("memberSession" = []), ("memberToken" = [])),
    params(
        ("id" = String, Path, description = "The application."),
        ("memberId" = String, Path, description = "The member."),
    ),
    responses(
        (status = 200, description = "Removed.", body = Done),
        NamedProblems, MemberProblems, ConflictProblems,
    )
)]
pub async fn remove(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    Named((id, member)): Named<(String, String)>,
) -> Result<Json<Done>, Problem> {
    let caller = visitor.member(&app).await?;
    let (id, member) = (app_id(&id)?, member.parse().map_err(|_| Problem::not_found("member")));
    app.service.app(&caller, id).await?;
    app.service.remove_from_team(&caller, id, member?).await?;
    Ok(Done::saying("Removed from the team"))
}
