//! `/auth/totp/devices`: where a user is not asked for the second factor.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use otp_core::TrustedDeviceView;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::asker::Asker;
use super::docs::{NamedProblems, TokenProblems};
use super::path::Named;
use super::problem::Problem;
use super::sessions::Done;

/// A device that no second factor is asked for on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrustedDeviceBody {
    #[schema(example = "dev_1ChFmqGmfQTctUmrBj4YHw")]
    device_id: String,
    #[schema(format = DateTime)]
    created_at: String,
    /// When its user last signed in with it.
    #[schema(format = DateTime)]
    last_used_at: Option<String>,
    #[schema(format = DateTime)]
    expires_at: String,
    /// Where it was when it was trusted.
    ip: Option<String>,
    user_agent: Option<String>,
}

impl From<TrustedDeviceView> for TrustedDeviceBody {
    fn from(device: TrustedDeviceView) -> Self {
        Self {
            device_id: device.id.to_string(),
            created_at: device.created_at.to_string(),
            last_used_at: device.last_used_at.map(|at| at.to_string()),
            expires_at: device.expires_at.to_string(),
            ip: device.ip.map(|ip| ip.to_string()),
            user_agent: device.user_agent,
        }
    }
}

/// The user's trusted devices, newest first.
#[derive(Serialize, ToSchema)]
pub struct TrustedDevicesBody {
    success: bool,
    devices: Vec<TrustedDeviceBody>,
}

/// The user's trusted devices.
#[utoipa::path(
    get, path = "/auth/totp/devices", operation_id = "listTrustedDevices", tag = "Second factor",
    security(("accessToken" = [])),
    responses((status = 200, description = "The devices.", body = TrustedDevicesBody), TokenProblems)
)]
pub async fn list(State(app): State<Arc<App>>, asker: Asker) -> Result<Json<TrustedDevicesBody>, Problem> {
    let me = asker.user(&app).await?;
    let devices = app.service.trusted_devices(&me).await?.into_iter().map(TrustedDeviceBody::from).collect();
    Ok(Json(TrustedDevicesBody { success: true, devices }))
}

/// Stops trusting a device: the next sign-in on it asks for the second factor.
#[utoipa::path(
    delete, path = "/auth/totp/devices/{id}", operation_id = "forgetTrustedDevice", tag = "Second factor",
    security(("accessToken" = [])), params(("id" = String, Path, description = "The device.")),
    responses((status = 200, description = "It is forgotten.", body = Done), NamedProblems, TokenProblems)
)]
pub async fn forget(
    State(app): State<Arc<App>>,
    asker: Asker,
    Named(id): Named<String>,
) -> Result<Json<Done>, Problem> {
    let me = asker.user(&app).await?;
    let id = id.parse().map_err(|_| Problem::not_found("trusted device"))?;
    app.service.forget_device(&me, id).await?;
    Ok(Done::saying("Device forgotten"))
}
