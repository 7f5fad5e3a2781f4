//! JSON web tokens signed with a shared secret (HS256, HS384, HS512), and InfluxDB 1.x's words for what is wrong with
//! one. A library of its own would bring other texts, other algorithms and a C compiler.

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, Mac};
use serde_json::{Map, Value};
use sha2::{Sha256, Sha384, Sha512};

/// With or without padding, and whatever the last bits are: as Go reads it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Algorithms that 1.x knows and refuses; others it does not know.
const OTHER_ALGORITHMS: [&str; 10] =
    ["none", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256", "PS384", "PS512"];

/// The user that a valid token names. `now_s` is the time in seconds since the epoch.
///
/// # Errors
///
/// What is wrong with the token, in 1.x's words.
pub(super) fn username(token: &str, secret: &[u8], now_s: i64) -> Result<String, String> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else {
        return Err("token contains an invalid number of segments".to_owned());
    };
    let signed = &token[..header.len() + 1 + claims.len()];
    // The header must be one value, of the claims only the first one counts.
    let header = parse(&decode(header)?, true).and_then(|v| object(v, "map[string]interface {}"))?;
    let claims = parse(&decode(claims)?, false).and_then(|v| object(v, "jwt.MapClaims"))?;
    let algorithm = header.get("alg").and_then(Value::as_str);
    let algorithm = algorithm.ok_or("signing method (alg) is unspecified.")?;
    let verify = match algorithm {
        "HS256" => verify::<Hmac<Sha256>>,
        "HS384" => verify::<Hmac<Sha384>>,
        "HS512" => verify::<Hmac<Sha512>>,
        other if OTHER_ALGORITHMS.contains(&other) => {
            return Err(format!("unexpected signing method: {other}"));
        }
        _ => return Err("signing method (alg) is unavailable.".to_owned()),
    };
    // A wrong signature is told before a wrong time.
    if !verify(secret, signed.as_bytes(), &decode(signature)?) {
        return Err("signature is invalid".to_owned());
    }
    check_times(&claims, now_s)?;
    match claims.get("username") {
        Some(Value::String(name)) if name.is_empty() => Err("token must contain a username".to_owned()),
        Some(Value::String(name)) => Ok(name.clone()),
        _ => Err("username in token must be a string".to_owned()),
    }
}

fn verify<M: Mac + hmac::digest::KeyInit>(secret: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    // HMAC takes keys of any length; the comparison takes the same time for every wrong signature.
    <M as Mac>::new_from_slice(secret)
        .is_ok_and(|mac| mac.chain_update(signed).verify_slice(signature).is_ok())
}

/// `exp` must be there; of `exp`, `iat` and `nbf`, the last that is wrong is told.
fn check_times(claims: &Map<String, Value>, now_s: i64) -> Result<(), String> {
    // Whole seconds; 0 and what is no number stand for nothing. What is too large is, in Go, long ago.
    let whole = |s: f64| if s.abs() < i64::MAX as f64 { s as i64 } else { i64::MIN };
    let time = |name: &str| claims.get(name).and_then(Value::as_f64).map(whole).filter(|s| *s != 0);
    if time("nbf").is_some_and(|nbf| now_s < nbf) {
        return Err("Token is not valid yet".to_owned());
    }
    if time("iat").is_some_and(|iat| now_s < iat) {
        return Err("Token used before issued".to_owned());
    }
    match time("exp") {
        None => Err("token expiration required".to_owned()),
        Some(exp) if now_s > exp => Err("Token is expired".to_owned()),
        Some(_) => Ok(()),
    }
}

fn decode(segment: &str) -> Result<Vec<u8>, String> {
    BASE64.decode(segment).map_err(|_| {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let place = segment.bytes().position(|b| !letter(b)).unwrap_or(segment.len());
        format!("illegal base64 data at input byte {place}")
    })
}

/// The JSON value of a text, or the first of several.
fn parse(text: &[u8], alone: bool) -> Result<Value, String> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter::<Value>();
    let first = values.next().ok_or("unexpected end of JSON input")?;
    let first = first.map_err(|error| format!("token is no JSON: {error}"))?;
    if alone && values.next().is_some() {
        return Err("token is no JSON: more than one value".to_owned());
    }
    Ok(first)
}

/// The object that a value must be; `null` is an empty one.
fn object(value: Value, wanted: &str) -> Result<Map<String, Value>, String> {
    let kind = match value {
        Value::Object(object) => return Ok(object),
        Value::Null => return Ok(Map::new()),
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
    };
    Err(format!("json: cannot unmarshal {kind} into Go value of type {wanted}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000;

    fn sign(algorithm: &str, signed: &str, secret: &str) -> Vec<u8> {
        fn mac<M: Mac + hmac::digest::KeyInit>(signed: &str, secret: &str) -> Vec<u8> {
            let mac = <M as Mac>::new_from_slice(secret.as_bytes()).expect("any key");
            mac.chain_update(signed).finalize().into_bytes().to_vec()
        }
        match algorithm {
            "HS384" => mac::<Hmac<Sha384>>(signed, secret),
            "HS512" => mac::<Hmac<Sha512>>(signed, secret),
            _ => mac::<Hmac<Sha256>>(signed, secret),
        }
    }

    fn token_signed(header: &str, claims: &str, secret: &str) -> String {
        let encode = |bytes: &[u8]| BASE64.encode(bytes).trim_end_matches('=').to_owned();
        let signed = format!("{}.{}", encode(header.as_bytes()), encode(claims.as_bytes()));
        let algorithm = header.get(8..13).unwrap_or_default();
        format!("{signed}.{}", encode(&sign(algorithm, &signed, secret)))
    }

    fn token(algorithm: &str, claims: &str) -> String {
        token_signed(&format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#), claims, "s3cret")
    }

    fn read(token: &str) -> String {
        username(token, b"s3cret", NOW).unwrap_or_else(|text| text)
    }

    #[test]
    fn tokens_are_read_as_by_the_real_one() {
        for algorithm in ["HS256", "HS384", "HS512"] {
            assert_eq!(read(&token(algorithm, r#"{"username":"adm","exp":1001}"#)), "adm");
        }
        for (claims, expected) in [
            (r#"{"username":"adm","exp":1000}"#, "adm"),
            (r#"{"username":"adm","exp":1000.5}"#, "adm"),
            (r#"{"username":"u","username":"adm","exp":1001} x"#, "adm"),
            (r#"{"username":"adm","exp":999}"#, "Token is expired"),
            (r#"{"username":"adm","exp":-5}"#, "Token is expired"),
            (r#"{"username":"adm","exp":1e300}"#, "Token is expired"),
            (r#"{"username":"adm","exp":1001,"iat":1001}"#, "Token used before issued"),
            (r#"{"username":"adm","exp":1,"iat":1001}"#, "Token used before issued"),
            (r#"{"username":"adm","exp":1001,"iat":1001,"nbf":1001}"#, "Token is not valid yet"),
            (r#"{"username":"adm"}"#, "token expiration required"),
            (r#"{"username":"adm","exp":0}"#, "token expiration required"),
            (r#"{"username":"adm","exp":"1001"}"#, "token expiration required"),
            (r#"{"exp":1001}"#, "username in token must be a string"),
            (r#"{"username":1,"exp":1001}"#, "username in token must be a string"),
            (r#"{"username":"","exp":1001}"#, "token must contain a username"),
            ("null", "token expiration required"),
            ("[]", "json: cannot unmarshal array into Go value of type jwt.MapClaims"),
            ("", "unexpected end of JSON input"),
        ] {
            assert_eq!(read(&token("HS256", claims)), expected, "{claims}");
        }
    }

    #[test]
    fn only_the_shared_secret_signs() {
        const CLAIMS: &str = r#"{"username":"adm","exp":1001}"#;
        let other = token_signed(r#"{"alg":"HS256"}"#, r#"{"username":"adm","exp":1}"#, "other");
        assert_eq!(read(&other), "signature is invalid");
        for (algorithm, expected) in [
            ("none", "unexpected signing method: none"),
            ("RS256", "unexpected signing method: RS256"),
            ("ES256", "unexpected signing method: ES256"),
            ("hs256", "signing method (alg) is unavailable."),
        ] {
            assert_eq!(read(&token(algorithm, CLAIMS)), expected);
        }
        assert_eq!(read(&token_signed("{}", CLAIMS, "s3cret")), "signing method (alg) is unspecified.");
        let unsigned = token("HS256", CLAIMS);
        let unsigned = unsigned.rsplit_once('.').expect("three parts").0;
        assert_eq!(read(&format!("{unsigned}.")), "signature is invalid");
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for (text, expected) in [
            ("x", "token contains an invalid number of segments"),
            ("a.b.c.d", "token contains an invalid number of segments"),
            ("..", "unexpected end of JSON input"),
            ("e30x.e30.x", "token is no JSON: more than one value"),
            ("!!.e30.x", "illegal base64 data at input byte 0"),
            ("eyJhbGciOiJIUzI1NiJ9.!!.x", "illegal base64 data at input byte 0"),
            ("MQ.e30.x", "json: cannot unmarshal number into Go value of type map[string]interface {}"),
            ("eyJhbGciOiJIUzI1NiJ9.e30.a", "illegal base64 data at input byte 1"),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
        let padded = format!("{}=", token("HS256", r#"{"username":"adm","exp":1001}"#));
        assert_eq!(read(&padded), "adm");
    }
}
