//! The way from a file to a ruleset.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::diag::{Diagnostic, Report};
use super::files::Files;
use super::ir::Ruleset;
use super::parse::Parser;
use super::resolve;
use super::span::{FileId, Span};

/// What stands outside of the files.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Directories in which `include` looks, as nft's -I.
    pub include: Vec<PathBuf>,
    /// Variables, as nft's -D.
    pub define: Vec<(String, String)>,
}

/// What became of a file.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The ruleset, if there was no mistake.
    pub ruleset: Option<Ruleset>,
    /// Mistakes and doubts, with the texts.
    pub report: Report,
}

/// Reads the ruleset in a file; `-` is standard input.
#[must_use]
pub fn load_file(path: &Path, options: &Options) -> Loaded {
    if path == Path::new("-") {
        return load_from("<stdin>", None, std::io::stdin().lock(), options);
    }
    let mut files = Files::new(&options.include, true);
    let text = files.read(path);
    finish(path.display().to_string(), Some(path), text, files, options)
}

/// Reads a ruleset from somewhere else; `path` is what included files' names are relative to.
#[must_use]
pub fn load_from(name: &str, path: Option<&Path>, from: impl Read, options: &Options) -> Loaded {
    let mut files = Files::new(&options.include, true);
    let text = files.read_from(from);
    finish(name.to_owned(), path, text, files, options)
}

/// Reads a ruleset that includes no files: for text from anywhere.
#[must_use]
pub fn load_text(name: &str, text: &str) -> Loaded {
    let mut files = Files::new(&[], false);
    let text = files.read_from(text.as_bytes());
    finish(name.to_owned(), None, text, files, &Options::default())
}

fn finish(
    name: String,
    path: Option<&Path>,
    text: Result<String, super::files::FileError>,
    mut files: Files,
    options: &Options,
) -> Loaded {
    let mut report = Report::default();
    let path = path.map(Path::to_path_buf);
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            let file = report.sources.add(name, path, String::new());
            let span = Span {
                file,
                ..Span::default()
            };
            report.push(Diagnostic::error(span, error.to_string()));
            return Loaded {
                ruleset: None,
                report,
            };
        }
    };
    let file: FileId = report.sources.add(name, path, text);
    let commands = Parser::new(&mut report, &mut files).run(file, &options.define);
    // What could be read is looked at even after mistakes: one run shows all of them.
    let ruleset = resolve::run(&mut report, commands);
    Loaded {
        ruleset: (!report.has_errors()).then_some(ruleset),
        report,
    }
}
