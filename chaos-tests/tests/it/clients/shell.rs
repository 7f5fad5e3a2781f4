//! The `influx` shell of Debian's `influxdb-client`. It knows one server, so each piece of the story goes to another one.

use super::{outcome, run, script};
use chaos_tests::WorkDir;
use std::fmt::Write as _;
use std::fs::File;
use std::process::Command;

/// What somebody types.
const TYPED: &str = r#"create database story_shell
use story_shell
insert weather,city=Zürich,odd\ tag=a\,b temperature=-1.5,count=7i,wet=true,note="says \"hi\"" 1577836800000000000
insert weather,city=Bern temperature=1e300,count=-9223372036854775807i,wet=false,note="" 1577836800123456789
select * from weather
precision rfc3339
select * from weather group by city
precision ms
select temperature from weather; show measurements; show field keys
format json
select * from weather
pretty
select mean(temperature) from weather where time >= '2020-01-01' and time < '2020-01-01T00:00:02Z' group by time(1s), city
format csv
select count(*) from weather
format column
chunked
chunk size 1
select * from weather
use nowhere
selec 1
select * from weather group by time(1m)
insert bad
insert weather temperature="text" 1577836800000000000
insert into autogen weather,city=Chur temperature=3 1577836920000000000
create retention policy week on story_shell duration 7d replication 1
use story_shell.week
show retention policies
select * from weather
use story_shell.autogen
delete from weather where city = 'Chur'
show series
drop database story_shell
exit
"#;

/// Typed at a terminal, prompt by prompt.
pub(super) fn at_a_terminal(addresses: &str) -> String {
    let directory = WorkDir::new("shell");
    let lines = directory.path().join("lines");
    assert!(std::fs::write(&lines, TYPED).is_ok(), "cannot write {}", lines.display());
    let server = server(addresses, 0);
    // `run` gives no input, so the shell that starts the terminal does.
    let mut command = Command::new("sh");
    command.args(["-c", "exec python3 -B \"$0\" \"$1\" < \"$2\""]);
    run(command.arg(script("shell/terminal.py")).arg(server).arg(lines))
}

/// Statements as arguments, and by a pipe, in every format.
pub(super) fn execute(addresses: &str) -> String {
    let mut said = String::new();
    let mut steps = 0;
    let mut step = |arguments: &[&str]| {
        steps += 1;
        said.push_str(&influx(server(addresses, steps), arguments));
    };
    step(&["-execute", "create database story_execute"]);
    let insert = "insert weather,city=Bern,sky=b\\ c temperature=0.1,count=7i,wet=true,note=\"x,y\" 1577836800123456789";
    step(&["-database", "story_execute", "-execute", insert]);
    step(&[
        "-database",
        "story_execute",
        "-execute",
        "insert weather,city=Chur temperature=1e21 1577836860000000000",
    ]);
    let statements = "select * from weather; select * from weather group by city; show tag values with key = city; \
                      select * from nothing_here; show diagnosticss";
    let statement = statements.rsplit_once(';').map_or(statements, |(good, _)| good);
    for format in ["column", "csv", "json"] {
        for precision in ["ns", "u", "ms", "s", "m", "h", "rfc3339"] {
            let database = ["-database", "story_execute", "-format", format, "-precision", precision];
            step(&[&database[..], &["-execute", statement]].concat());
        }
        step(&["-database", "story_execute", "-format", format, "-pretty", "-execute", statement]);
        step(&["-database", "story_execute", "-format", format, "-execute", statements]);
        step(&[
            "-database",
            "story_execute",
            "-format",
            format,
            "-execute",
            "select mean(*) from weather; select x",
        ]);
        step(&["-database", "nowhere", "-format", format, "-execute", "select * from weather"]);
    }
    step(&["-execute", "drop database story_execute"]);
    said
}

/// Names and passwords as arguments; there is the admin that `python/users.py` makes.
pub(super) fn with_users(addresses: &str) -> String {
    const ADMIN: [&str; 4] = ["-username", "boss", "-password", "p:a&s=s 'w\\"];
    const USER: [&str; 4] = ["-username", "shell user", "-password", "u"];
    let mut said = String::new();
    let mut steps = 0;
    let mut step = |who: &[&str], q: &str| {
        steps += 1;
        let arguments = [who, &["-database", "users_shell", "-execute", q]].concat();
        said.push_str(&influx(server(addresses, steps), &arguments));
    };
    step(&[], "show databases");
    step(&["-username", "boss", "-password", "wrong"], "show databases");
    step(&ADMIN, "create database users_shell");
    step(&ADMIN, "create user \"shell user\" with password 'u'");
    step(&USER, "show databases");
    step(&USER, "insert m v=1 1");
    step(&ADMIN, "grant write on users_shell to \"shell user\"");
    step(&USER, "insert m,h=a v=1 1");
    step(&USER, "select * from m");
    step(&USER, "create database other");
    step(&ADMIN, "show grants for \"shell user\"");
    step(&ADMIN, "grant all on users_shell to \"shell user\"");
    step(&USER, "select * from m; show databases; show series");
    step(&USER, "select * from m; show users");
    step(&USER, "drop measurement m");
    step(&ADMIN, "select * from m; show users; show grants for nobody");
    step(&USER, "set password for \"shell user\" = 'v'");
    step(&ADMIN, "set password for \"shell user\" = 'v'");
    step(&USER, "show databases");
    step(&ADMIN, "drop user \"shell user\"; drop database users_shell");
    step(&USER, "show databases");
    said
}

/// A file as `influx_inspect export` writes it, plain and compressed.
pub(super) fn import(addresses: &str) -> String {
    let directory = WorkDir::new("import");
    let mut said = String::new();
    let mut text =
        "# DDL\nCREATE DATABASE story_import WITH NAME autogen\n# DML\n# CONTEXT-DATABASE:story_import\n\
                    # CONTEXT-RETENTION-POLICY:autogen\n# writing tsm data\n"
            .to_owned();
    for i in 0..12_000 {
        writeln!(text, "weather,city=c{} temperature={}.5,count={i}i {}", i % 7, i % 40, i * 1_000)
            .unwrap_or_default();
    }
    text.push_str("bad line\n");
    let plain = directory.path().join("export");
    assert!(std::fs::write(&plain, &text).is_ok(), "cannot write {}", plain.display());
    let zipped = directory.path().join("export.gz");
    let packed = File::create(&zipped).and_then(|file| {
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, text.replace("story_import", "story_zipped").as_bytes())?;
        encoder.finish()
    });
    assert!(packed.is_ok(), "cannot write {}", zipped.display());
    let path = |path: &std::path::Path| path.display().to_string();
    for arguments in
        [&["-import", "-path", &path(&plain)][..], &["-import", "-compressed", "-path", &path(&zipped)]]
    {
        // Each line of its log begins with a time; that it took how long is another one.
        for line in
            influx(server(addresses, 1), arguments).lines().filter(|line| !line.contains("Time elapsed"))
        {
            let (_, untimed) =
                line.split_at_checked(20).filter(|(time, _)| time.starts_with("20")).unwrap_or(("", line));
            said.extend([untimed.replace(&path(directory.path()), ""), "\n".to_owned()]);
        }
    }
    for (place, database) in ["story_import", "story_zipped"].into_iter().enumerate() {
        for q in [
            "select count(*), mean(temperature) from weather group by city",
            "select last(count) from weather",
        ] {
            said.push_str(&influx(server(addresses, 2 + place), &["-database", database, "-execute", q]));
        }
        said.push_str(&influx(server(addresses, 0), &["-execute", &format!("drop database {database}")]));
    }
    said
}

/// The shell's words, errors too.
fn influx(server: &str, arguments: &[&str]) -> String {
    let (host, port) = server.rsplit_once(':').unwrap_or((server, "8086"));
    let (text, success) =
        outcome(Command::new("influx").args(["-host", host, "-port", port]).args(arguments));
    format!("{arguments:?}\n{text}{}\n", if success { "" } else { "failed" })
}

/// The server of a step.
fn server(addresses: &str, step: usize) -> &str {
    let servers: Vec<&str> = addresses.split(',').collect();
    servers[step % servers.len()]
}
