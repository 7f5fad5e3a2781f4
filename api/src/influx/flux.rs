//! `/api/v2/query`: Flux, which is not spoken here. The answer is that of a 1.8 with Flux off.

use crate::router::text;
use axum::http::StatusCode;
use axum::response::Response;

pub(crate) fn answer() -> Response {
    text(
        StatusCode::FORBIDDEN,
        "Flux query service disabled. Verify flux-enabled=true in the [http] section of the InfluxDB config.\n",
    )
}
