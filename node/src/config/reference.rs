//! Prints a configuration as TOML with a comment on every option. It is the reference, the example file and the
//! answer of `--print-config` at once, and loads again to the same configuration.

use super::load::environment_name;
use super::options::{Config, OptionSpec, SECTIONS};
use std::fmt::Write;

/// The effective configuration as commented TOML.
pub fn print(config: &Config) -> String {
    let mut out = String::from(HEAD);
    let mut values = config.values().into_iter();
    for section in SECTIONS {
        out.push('\n');
        comment(&mut out, section.doc);
        push_line(&mut out, format_args!("[{}]", section.name));
        // Both walk the same table in the same order.
        for (option, value) in section.options.iter().zip(values.by_ref()) {
            out.push('\n');
            comment(&mut out, option.doc);
            push_line(&mut out, format_args!("# {}", limits(option)));
            push_line(
                &mut out,
                format_args!("# Environment: {}", environment_name(section.name, option.key)),
            );
            push_line(&mut out, format_args!("{} = {value}", option.key));
        }
    }
    out
}

const HEAD: &str = "\
# The configuration of one Steadfast node, as `steadfast serve --print-config` prints it.
# A variable of the environment wins over this file, a flag wins over both.
";

fn comment(out: &mut String, doc: &[&str]) {
    for line in doc {
        push_line(out, format_args!("#{line}"));
    }
}

fn limits(option: &OptionSpec) -> String {
    let default = if option.default.is_empty() { "empty" } else { option.default };
    match option.bounds {
        Some((min, max)) => format!("Default {default}, at least {min}, at most {max}."),
        None => format!("Default {default}."),
    }
}

fn push_line(out: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing to a string can't fail.
    let written = out.write_fmt(line);
    debug_assert!(written.is_ok(), "writing to a string");
    out.push('\n');
}
