//! Layers of texts: defaults < file < environment < flags. All are read by the same code, so that an option means the
//! same wherever it is written.

use super::options::{OptionSpec, SECTIONS, SectionSpec};
use super::value::OptionValue;
use super::{Config, ConfigError};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the texts of a configuration come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The TOML file, if any.
    pub file: Option<PathBuf>,
    /// Environment variables; those that do not start with `STEADFAST_` are ignored.
    pub environment: Vec<(String, String)>,
    /// `section.key` and value; later ones win.
    pub flags: Vec<(String, String)>,
}

/// Reads, merges and checks a configuration.
///
/// # Errors
///
/// [`ConfigError`], with the option's name and where its value came from.
pub fn load(sources: &Sources) -> Result<Config, ConfigError> {
    let mut texts = Texts::defaults();
    if let Some(path) = &sources.file {
        let path_text = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path_text.clone(), source })?;
        texts.add_toml(&path_text, &text)?;
    }
    for (name, value) in &sources.environment {
        texts.add_variable(name, value)?;
    }
    for (name, value) in &sources.flags {
        texts.set("the command line", name, value)?;
    }
    super::validate::check(Config::from_texts(&texts)?)
}

/// The environment variable of an option: `raft.heartbeat` is `STEADFAST_RAFT_HEARTBEAT`.
pub fn environment_name(section: &str, key: &str) -> String {
    format!("STEADFAST_{section}_{key}").to_ascii_uppercase()
}

/// Splits the `section.key=value` of `--set`.
///
/// # Errors
///
/// What is expected instead.
pub fn split_assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if name.contains('.') => Ok((name.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected section.key=value, such as raft.heartbeat=500ms".to_owned()),
    }
}

/// The text of every option and where it came from.
#[derive(Debug)]
pub(super) struct Texts(BTreeMap<(&'static str, &'static str), (String, String)>);

impl Texts {
    fn defaults() -> Self {
        let mut texts = BTreeMap::new();
        for section in SECTIONS {
            for option in section.options {
                texts.insert((section.name, option.key), (option.default.to_owned(), "default".to_owned()));
            }
        }
        Self(texts)
    }

    /// The value of one option, within its bounds.
    pub(super) fn read<T: OptionValue>(
        &self,
        section: &'static str,
        key: &'static str,
    ) -> Result<T, ConfigError> {
        // Both names come from the table that filled the map.
        let (text, origin) = self.0.get(&(section, key)).cloned().unwrap_or_default();
        let refuse = |expected: String| ConfigError::Value {
            origin: origin.clone(),
            name: format!("{section}.{key}"),
            text: format!("{text:?}"),
            expected,
        };
        let value = T::parse(&text).map_err(refuse)?;
        let bounds = find(section, key).and_then(|(_, option)| option.bounds);
        if let Some((min, max)) = bounds {
            let (low, high) = (T::parse(min).map_err(refuse)?, T::parse(max).map_err(refuse)?);
            if !value.within(&low, &high) {
                return Err(refuse(format!("must be at least {min} and at most {max}")));
            }
        }
        Ok(value)
    }

    fn set(&mut self, origin: &str, name: &str, text: &str) -> Result<(), ConfigError> {
        let (section, key) = name.split_once('.').unwrap_or((name, ""));
        let Some((section, option)) = find(section, key) else {
            return Err(unknown(origin, section, key));
        };
        self.0.insert((section.name, option.key), (text.to_owned(), origin.to_owned()));
        Ok(())
    }

    fn add_toml(&mut self, path: &str, text: &str) -> Result<(), ConfigError> {
        let table: toml::Table = text.parse().map_err(|e: toml::de::Error| ConfigError::Syntax {
            path: path.to_owned(),
            text: e.to_string().trim_end().to_owned(),
        })?;
        for (section, keys) in &table {
            let toml::Value::Table(keys) = keys else {
                return Err(unknown(path, section, ""));
            };
            for (key, value) in keys {
                let text = text_of(value).ok_or_else(|| ConfigError::Value {
                    origin: path.to_owned(),
                    name: format!("{section}.{key}"),
                    text: value.to_string(),
                    expected: "expected a string, a whole number, true, false or a list of strings"
                        .to_owned(),
                })?;
                self.set(path, &format!("{section}.{key}"), &text)?;
            }
            if find_section(section).is_none() {
                return Err(unknown(path, section, ""));
            }
        }
        Ok(())
    }

    /// Takes a variable that names an option, refuses one that looks like it and does not, ignores all others.
    fn add_variable(&mut self, name: &str, text: &str) -> Result<(), ConfigError> {
        let Some(rest) = name.strip_prefix("STEADFAST_") else { return Ok(()) };
        let lower = rest.to_ascii_lowercase();
        for section in SECTIONS {
            let Some(key) = lower.strip_prefix(section.name).and_then(|rest| rest.strip_prefix('_')) else {
                continue;
            };
            if is_service_link(key) {
                return Ok(());
            }
            return self.set(&format!("variable {name}"), &format!("{}.{key}", section.name), text);
        }
        Ok(())
    }
}

/// Kubernetes gives every pod variables such as `STEADFAST_NODE_SERVICE_HOST` for a service `steadfast-node`. They
/// are nobody's typing mistake.
fn is_service_link(key: &str) -> bool {
    key == "port" || key.starts_with("port_") || key.starts_with("service_")
}

fn find_section(section: &str) -> Option<&'static SectionSpec> {
    SECTIONS.iter().find(|spec| spec.name == section)
}

fn find(section: &str, key: &str) -> Option<(&'static SectionSpec, &'static OptionSpec)> {
    let section = find_section(section)?;
    section.options.iter().find(|option| option.key == key).map(|option| (section, option))
}

fn unknown(origin: &str, section: &str, key: &str) -> ConfigError {
    let (name, accepted) = match find_section(section) {
        Some(spec) => {
            let keys: Vec<&str> = spec.options.iter().map(|option| option.key).collect();
            (format!("{section}.{key}"), format!("[{section}] accepts {}", keys.join(", ")))
        }
        None => {
            let names: Vec<&str> = SECTIONS.iter().map(|spec| spec.name).collect();
            (section.to_owned(), format!("the sections are {}", names.join(", ")))
        }
    };
    ConfigError::Unknown { origin: origin.to_owned(), name, accepted }
}

/// A TOML value as the text a variable would hold; `None` for what no option takes.
fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Array(items) => {
            let texts: Option<Vec<&str>> = items.iter().map(toml::Value::as_str).collect();
            Some(texts?.join(","))
        }
        toml::Value::Float(_) | toml::Value::Datetime(_) | toml::Value::Table(_) => None,
    }
}
