//! The packages of the workspace, as `cargo metadata` tells them.

use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use serde_json::Value;

use crate::models::root;

/// A package.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Package {
    pub(super) name: String,
    /// From the workspace's folder, with slashes.
    pub(super) dir: String,
    /// Those that it declares, `default` left out.
    pub(super) features: Vec<String>,
    pub(super) has_default: bool,
    /// The oldest compiler that it promises to work with.
    pub(super) rust_version: Option<String>,
}

/// All of the workspace.
pub(super) fn packages() -> anyhow::Result<Vec<Package>> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()?).args(["metadata", "--locked", "--no-deps", "--format-version", "1"]);
    let output = cargo.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", output.status);
    }
    read(std::str::from_utf8(&output.stdout)?).context("what cargo metadata printed")
}

fn read(json: &str) -> anyhow::Result<Vec<Package>> {
    let metadata: Value = serde_json::from_str(json)?;
    let root = metadata["workspace_root"].as_str().context("no workspace_root")?;
    let packages = metadata["packages"].as_array().context("no packages")?;
    packages.iter().map(|package| one(package, root).context("a package")).collect()
}

fn one(package: &Value, root: &str) -> Option<Package> {
    let manifest = package["manifest_path"].as_str()?.replace('\\', "/");
    let dir = manifest.strip_prefix(&root.replace('\\', "/"))?.strip_suffix("/Cargo.toml")?;
    let mut features: Vec<_> = package["features"].as_object()?.keys().cloned().collect();
    let has_default = features.iter().any(|feature| feature == "default");
    features.retain(|feature| feature != "default");
    Some(Package {
        name: package["name"].as_str()?.into(),
        dir: dir.trim_start_matches('/').into(),
        features,
        has_default,
        rust_version: package["rust_version"].as_str().map(str::to_owned),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn package(dir: &str, features: &[&str], has_default: bool) -> Package {
        Package {
            name: dir.rsplit('/').next().unwrap_or(dir).into(),
            dir: dir.into(),
            features: features.iter().map(ToString::to_string).collect(),
            has_default,
            rust_version: Some("1.89".into()),
        }
    }

    #[test]
    fn reads_what_cargo_prints() {
        let json = r#"{"workspace_root": "/w", "packages": [{"name": "a", "rust_version": "1.89",
            "manifest_path": "/w/crates/a/Cargo.toml", "features": {"default": ["x"], "x": []}}]}"#;
        assert_eq!(read(json).unwrap(), [package("crates/a", &["x"], true)]);
        assert!(read("{}").is_err());
    }
}
