//! Credentials and privileges: answers of a real InfluxDB 1.6.7 to the same requests.

use crate::stub::{Answer, Client, Knowledge, Stub, request};
use api::{ApiConfig, AuthConfig};
use model::catalog::{Access, Catalog, CatalogCommand, PasswordHash, PolicySpec};
use std::sync::{Arc, Mutex};

const PARSE: &str = r#"{"error":"unable to parse authentication credentials"}"#;
const FAILED: &str = r#"{"error":"authorization failed"}"#;

fn catalog(commands: &[CatalogCommand]) -> Arc<Catalog> {
    let mut catalog = Catalog::default();
    for command in commands {
        catalog.apply(command).expect("fine in this test");
    }
    Arc::new(catalog)
}

fn user(name: &str, password: &str, admin: bool) -> CatalogCommand {
    CatalogCommand::CreateUser { name: name.to_owned(), hash: PasswordHash::new(password), admin }
}

fn grant(access: Access) -> CatalogCommand {
    CatalogCommand::Grant { user: "u".to_owned(), database: "k8s".to_owned(), access }
}

/// The admin `adm`/`ap` and the user `u`/`p`, and more.
fn users(more: &[CatalogCommand]) -> Arc<Catalog> {
    let k8s = CatalogCommand::CreateDatabase { name: "k8s".to_owned(), policy: PolicySpec::default() };
    let mut commands = vec![k8s, user("adm", "ap", true), user("u", "p", false)];
    commands.extend_from_slice(more);
    catalog(&commands)
}

fn client_with(local: Arc<Catalog>, cluster: Knowledge, auth: AuthConfig) -> Client {
    let stub = Stub { catalog: Mutex::new(local), cluster: Mutex::new(cluster), ..Stub::default() };
    Client::with(stub, ApiConfig { auth, ..ApiConfig::default() })
}

fn client(local: Arc<Catalog>) -> Client {
    client_with(local, Knowledge::Same, AuthConfig { enabled: true, ..AuthConfig::default() })
}

#[track_caller]
fn check(answer: &Answer, status: u16, text: &str) {
    assert_eq!((answer.status, answer.text().trim_end()), (status, text));
}

async fn write(client: &Client, parameters: &str) -> Answer {
    client.send(request("POST", &format!("/write?{parameters}"), &[], "m v=1")).await
}

#[tokio::test]
async fn credentials_are_asked_for_before_anything_else_is_looked_at() {
    let client = client(users(&[]));
    check(&client.query("q=SHOW DATABASES").await, 401, PARSE);
    check(&client.query("q=SELEC").await, 401, PARSE);
    check(&client.query("").await, 401, PARSE);
    check(&write(&client, "").await, 401, PARSE);
    check(&write(&client, "db=nope&u=u&p=bad").await, 401, FAILED);
    check(&client.query("q=SHOW DATABASES&u=adm&p=bad").await, 401, FAILED);
    check(&client.query("q=SHOW DATABASES&u=nobody&p=x").await, 401, FAILED);
    check(&client.query("q=SHOW DATABASES&u=adm").await, 401, PARSE);
    check(&client.query("u=u&p=p").await, 400, r#"{"error":"missing required parameter \"q\""}"#);
    check(&write(&client, "u=u&p=p").await, 400, r#"{"error":"database is required"}"#);
    let basic = [("authorization", "Basic Og==")];
    let answer = client.send(request("GET", "/query?q=SHOW+DATABASES", &basic, "")).await;
    check(&answer, 401, r#"{"error":"username required"}"#);
    assert!(client.stub.executed.lock().unwrap().is_empty(), "nothing may run");
}

#[tokio::test]
async fn a_401_challenges_in_the_format_of_the_client_and_has_no_error_header() {
    let client = client(users(&[]));
    let csv = [("accept", "text/csv")];
    let answer = client.send(request("GET", "/query?q=SHOW+DATABASES", &csv, "")).await;
    assert_eq!(answer.text(), "error\nunable to parse authentication credentials\n");
    assert_eq!(answer.header("www-authenticate"), Some(r#"Basic realm="InfluxDB""#));
    assert_eq!(answer.header("x-influxdb-error"), None);
}

#[tokio::test]
async fn whoever_shows_a_password_is_answered() {
    let client = client(users(&[]));
    for headers in [
        [("authorization", "Basic YWRtOmFw")],
        [("authorization", "basic YWRtOmFw")],
        [("authorization", "Token adm:ap")],
    ] {
        let answer = client.send(request("GET", "/query?q=SHOW+DATABASES", &headers, "")).await;
        assert_eq!(answer.status, 200, "{headers:?}");
    }
    assert_eq!(client.query("q=SHOW DATABASES&u=adm&p=ap").await.status, 200);
    assert_eq!(write(&client, "db=k8s&u=adm&p=ap").await.status, 204);
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_before_anything_runs() {
    let client = client(users(&[]));
    let refused = "error authorizing query: u not authorized to execute statement 'SELECT v FROM one', requires READ on k8s";
    let answer = client.query("q=SHOW DATABASES;SELECT v FROM one&db=k8s&u=u&p=p").await;
    check(&answer, 403, &format!(r#"{{"error":"{refused}"}}"#));
    assert_eq!(answer.header("x-influxdb-error"), Some(refused));
    assert!(client.stub.executed.lock().unwrap().is_empty(), "nothing may run");
    check(
        &client.query("q=SET PASSWORD FOR u = 'secret'&u=u&p=p").await,
        403,
        r#"{"error":"error authorizing query: u not authorized to execute statement 'SET PASSWORD FOR u = [REDACTED]', requires admin privilege"}"#,
    );
    check(
        &write(&client, "db=k8s&u=u&p=p").await,
        403,
        r#"{"error":"\"u\" user is not authorized to write to database \"k8s\""}"#,
    );
    check(&write(&client, "db=nope&u=u&p=p").await, 404, r#"{"error":"database not found: \"nope\""}"#);
}

#[tokio::test]
async fn databases_are_shown_to_those_who_may_read_or_write_them() {
    let shown = |more: &[CatalogCommand]| {
        let client = client(users(more));
        async move { client.query("q=SHOW DATABASES&u=u&p=p").await.text() }
    };
    let nothing = r#"{"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"]}]}]}"#;
    assert_eq!(shown(&[]).await.trim_end(), nothing);
    for access in [Access::Read, Access::Write, Access::All] {
        assert!(shown(&[grant(access)]).await.contains(r#""values":[["k8s"]]"#), "{access:?}");
    }
    assert_eq!(shown(&[grant(Access::None)]).await.trim_end(), nothing);
}

#[tokio::test]
async fn before_there_is_an_admin_one_can_only_be_created() {
    const CREATE: &str = "q=CREATE USER adm WITH PASSWORD 'ap' WITH ALL PRIVILEGES;SHOW DATABASES";
    let first = r#"{"error":"error authorizing query: create admin user first or disable authentication"}"#;
    let empty = client(catalog(&[]));
    check(&empty.query("q=SHOW DATABASES&u=x&p=y").await, 403, first);
    check(&empty.query("q=CREATE USER u WITH PASSWORD 'p'").await, 403, first);
    check(&empty.query("q=;").await, 403, first);
    assert!(empty.query("q=SELECT").await.text().starts_with(r#"{"error":"error parsing query"#));
    let user_required = r#"{"error":"user is required to write to database \"k8s\""}"#;
    check(&write(&empty, "db=k8s").await, 403, user_required);
    assert_eq!(empty.query(CREATE).await.status, 200);
    assert_eq!(empty.stub.executed.lock().unwrap().len(), 2);

    let no_admin = client(catalog(&[user("u", "p", false)]));
    let nobody = r#"{"error":"error authorizing query: no user provided"}"#;
    check(&no_admin.query("q=SHOW DATABASES&u=u&p=p").await, 403, nobody);
    check(&no_admin.query(CREATE).await, 403, nobody);
}

#[tokio::test]
async fn a_node_that_lags_behind_asks_the_others_before_it_refuses() {
    let enabled = || AuthConfig { enabled: true, ..AuthConfig::default() };
    let lagging = |local, current| client_with(local, Knowledge::More(current), enabled());
    let create = "q=CREATE USER x WITH PASSWORD 'x' WITH ALL PRIVILEGES";
    check(&lagging(catalog(&[]), users(&[])).query(create).await, 401, PARSE);
    let granted = lagging(users(&[]), users(&[grant(Access::All)]));
    assert_eq!(write(&granted, "db=k8s&u=u&p=p").await.status, 204);
    assert_eq!(granted.query("q=SHOW MEASUREMENTS&db=k8s&u=u&p=p").await.status, 200);
    let created = lagging(users(&[]), users(&[user("new", "np", false)]));
    assert_eq!(created.query("q=SHOW DATABASES&u=new&p=np").await.status, 200);
    // Nobody may become the first admin of a node that cannot know whether there is one.
    let alone = client_with(catalog(&[]), Knowledge::Silent, enabled());
    assert_eq!(alone.query(create).await.status, 503);
}

#[tokio::test]
async fn probes_are_asked_only_if_the_operator_wants_it() {
    let open = client(users(&[]));
    assert_eq!(open.get("/ping").await.status, 204);
    let options = open.send(request("OPTIONS", "/query", &[], "")).await;
    assert_eq!(options.status, 200);
    let closed = client_with(
        users(&[]),
        Knowledge::Same,
        AuthConfig { enabled: true, ping: true, ..AuthConfig::default() },
    );
    check(&closed.get("/ping").await, 401, PARSE);
    check(&closed.get("/metrics").await, 401, PARSE);
    assert_eq!(closed.get("/ping?u=u&p=p").await.status, 204);
}

#[tokio::test]
async fn without_authentication_any_credentials_are_accepted() {
    let client = Client::new();
    assert_eq!(client.query("q=SHOW DATABASES&u=root&p=root").await.status, 200);
    let garbage = [("authorization", "Bearer x")];
    assert_eq!(client.send(request("POST", "/write?db=k8s", &garbage, "m v=1")).await.status, 204);
}

#[tokio::test]
async fn tokens_need_a_shared_secret() {
    let token = [("authorization", "Bearer x")];
    let send = |secret: &str| {
        let auth = AuthConfig { enabled: true, shared_secret: secret.to_owned(), ..AuthConfig::default() };
        let client = client_with(users(&[]), Knowledge::Same, auth);
        async move { client.send(request("GET", "/query?q=SHOW+DATABASES", &token, "")).await }
    };
    check(&send("").await, 401, r#"{"error":"bearer auth disabled"}"#);
    check(&send("s").await, 401, r#"{"error":"token contains an invalid number of segments"}"#);
}
