//! The configuration file: TOML with the names of the flags, read into assignments.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::assign::{Assignment, is_known, nearest_name};
use super::error::{Place, SettingsError};

/// Larger files are refused unread: nobody writes a megabyte of settings.
const MAX_BYTES: u64 = 1 << 20;

/// Reads the assignments of the file at `path`, in the file's order.
///
/// # Errors
/// [`SettingsError::Read`], [`SettingsError::Toml`] and [`SettingsError::UnknownName`].
pub(super) fn read(path: &Path) -> Result<Vec<Assignment>, SettingsError> {
    let text = read_limited(path).map_err(|cause| SettingsError::Read {
        path: path.into(),
        cause,
    })?;
    parse(path, &text)
}

fn read_limited(path: &Path) -> std::io::Result<String> {
    use std::io::{Error, Read as _};
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Error::other("the file is larger than 1 MiB"));
    }
    Ok(text)
}

/// Reads the assignments of `text`; `path` is for the errors.
///
/// # Errors
/// As [`read`].
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Assignment>, SettingsError> {
    let reader = Reader { path, text };
    let table = DeTable::parse(text).map_err(|error| SettingsError::Toml {
        path: path.into(),
        line: reader.line(error.span().map_or(0, |span| span.start)),
        message: error.message().into(),
    })?;
    let mut found = Vec::new();
    for (name, value) in table.get_ref() {
        let line = reader.line(name.span().start);
        let name: &str = name.get_ref();
        if !is_known(name) {
            return Err(SettingsError::UnknownName {
                path: path.into(),
                line,
                name: name.into(),
                nearest: nearest_name(name),
            });
        }
        for value in reader.values(name, line, value.get_ref())? {
            found.push((line, name.to_owned(), value));
        }
    }
    // The table is sorted by name; what is written last must win.
    found.sort_by_key(|(line, ..)| *line);
    Ok(found
        .into_iter()
        .map(|(line, name, value)| Assignment {
            name,
            value,
            place: reader.place(line),
        })
        .collect())
}

/// What is needed to say where something stands.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    /// The line, from 1, of a byte offset.
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        before.iter().filter(|b| **b == b'\n').count() + 1
    }

    fn place(&self, line: usize) -> Place {
        Place::File {
            path: self.path.into(),
            line,
        }
    }

    /// The values of one name as a flag would give them: an array repeats the flag, a table gives
    /// `KEY=VALUE` for each of its keys.
    fn values(
        &self,
        name: &str,
        line: usize,
        value: &DeValue<'_>,
    ) -> Result<Vec<String>, SettingsError> {
        let mut values = Vec::new();
        match value {
            DeValue::Array(items) => {
                for item in items {
                    values.push(self.scalar(name, line, item.get_ref())?);
                }
            }
            DeValue::Table(table) => self.pairs(name, line, "", table, &mut values)?,
            scalar => values.push(self.scalar(name, line, scalar)?),
        }
        Ok(values)
    }

    /// Flattens a table: `sysctl.net.netfilter.x = 1` is TOML for three nested tables.
    fn pairs(
        &self,
        name: &str,
        line: usize,
        prefix: &str,
        table: &DeTable<'_>,
        into: &mut Vec<String>,
    ) -> Result<(), SettingsError> {
        for (key, value) in table {
            let key = format!("{prefix}{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) => {
                    self.pairs(name, line, &format!("{key}."), inner, into)?;
                }
                scalar => into.push(format!("{key}={}", self.scalar(name, line, scalar)?)),
            }
        }
        Ok(())
    }

    fn scalar(
        &self,
        name: &str,
        line: usize,
        value: &DeValue<'_>,
    ) -> Result<String, SettingsError> {
        match value {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Boolean(on) => Ok(if *on { "on" } else { "off" }.into()),
            // Hexadecimal and friends become the decimal that a flag would have.
            DeValue::Integer(n) => Ok(i64::from_str_radix(n.as_str(), n.radix())
                .map_or_else(|_| n.to_string(), |n| n.to_string())),
            other => Err(SettingsError::BadValue {
                place: self.place(line),
                name: name.into(),
                value: other.type_str().into(),
                expected: "a string, an integer, a boolean, or an array of strings".into(),
            }),
        }
    }
}
