//! The nodes of the file system, and the paths that lead to them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};

use wal_fs::{DirEntry, NodeKind};

use super::crash::{Atom, Fate};
use super::directory::Directory;
use super::inode::Inode;

const ROOT: u64 = 0;

/// All files and directories.
pub(super) struct Disk {
    nodes: BTreeMap<u64, Node>,
    next_node: u64,
    /// The number of the next change.
    seq: u64,
    /// How many bytes the files may hold together.
    pub(super) capacity: Option<u64>,
}

enum Node {
    File(Inode),
    Directory(Directory),
}

impl Disk {
    pub(super) fn new() -> Self {
        let nodes = BTreeMap::from([(ROOT, Node::Directory(Directory::default()))]);
        Disk { nodes, next_node: ROOT + 1, seq: 0, capacity: None }
    }

    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(super) fn inode(&mut self, id: u64) -> io::Result<&mut Inode> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Directory(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn directory(&self, id: u64) -> io::Result<&Directory> {
        match self.nodes.get(&id) {
            Some(Node::Directory(directory)) => Ok(directory),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn directory_mut(&mut self, id: u64) -> io::Result<&mut Directory> {
        self.directory(id)?;
        match self.nodes.get_mut(&id) {
            Some(Node::Directory(directory)) => Ok(directory),
            _ => unreachable!("it was one just now"),
        }
    }

    pub(super) fn find(&self, path: &Path) -> io::Result<u64> {
        let mut node = ROOT;
        for component in path.components() {
            match component {
                Component::Normal(name) => {
                    let found = self.directory(node)?.get(name);
                    node = found.ok_or(io::ErrorKind::NotFound)?;
                }
                Component::RootDir | Component::Prefix(_) => node = ROOT,
                Component::CurDir => {}
                Component::ParentDir => return Err(unsupported("'..' in a path")),
            }
        }
        Ok(node)
    }

    /// The directory that holds a path's last name, and that name.
    fn parent<'p>(&self, path: &'p Path) -> io::Result<(u64, &'p OsStr)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = self.find(path.parent().unwrap_or(Path::new("")))?;
        self.directory(parent)?;
        Ok((parent, name))
    }

    pub(super) fn kind(&self, id: u64) -> io::Result<NodeKind> {
        match self.nodes.get(&id) {
            Some(Node::File(_)) => Ok(NodeKind::File),
            Some(Node::Directory(_)) => Ok(NodeKind::Directory),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let directory = self.directory(self.find(path)?)?;
        let is_dir = |id| matches!(self.nodes.get(&id), Some(Node::Directory(_)));
        let entries = directory.entries();
        Ok(entries.map(|(name, id)| DirEntry { name: name.clone(), is_dir: is_dir(id) }).collect())
    }

    fn create(&mut self, path: &Path, node: Node) -> io::Result<u64> {
        let (parent, name) = self.parent(path)?;
        if self.directory(parent)?.get(name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (id, seq) = (self.next_node, self.next_seq());
        self.next_node += 1;
        self.nodes.insert(id, node);
        self.directory_mut(parent)?.change(seq, vec![(name.into(), Some(id))]);
        Ok(id)
    }

    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<u64> {
        self.create(path, Node::File(Inode::default()))
    }

    pub(super) fn create_dir(&mut self, path: &Path) -> io::Result<()> {
        if path.file_name().is_none() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.create(path, Node::Directory(Directory::default())).map(drop)
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let ((from_dir, from), (to_dir, to)) = (self.parent(from)?, self.parent(to)?);
        if from_dir != to_dir {
            return Err(unsupported("a rename into another directory"));
        }
        let directory = self.directory(from_dir)?;
        let node = directory.get(from).ok_or(io::ErrorKind::NotFound)?;
        let replaced = directory.get(to);
        for id in [Some(node), replaced].into_iter().flatten() {
            self.inode(id)?;
        }
        let names = match from == to {
            true => return Ok(()),
            false => vec![(OsString::from(from), None), (OsString::from(to), Some(node))],
        };
        let seq = self.next_seq();
        self.directory_mut(from_dir)?.change(seq, names);
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let id = self.directory(parent)?.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.inode(id)?;
        let seq = self.next_seq();
        self.directory_mut(parent)?.change(seq, vec![(name.into(), None)]);
        Ok(())
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let id = self.find(path)?;
        self.directory_mut(id)?.sync();
        self.collect();
        Ok(())
    }

    /// Forgets files that no name, handle or crash can lead to any more.
    pub(super) fn collect(&mut self) {
        let mut reachable = BTreeSet::from([ROOT]);
        for node in self.nodes.values() {
            if let Node::Directory(directory) = node {
                reachable.extend(directory.reachable());
            }
        }
        self.nodes.retain(|id, node| {
            reachable.contains(id) || matches!(node, Node::File(inode) if inode.handles > 0)
        });
    }

    /// Closes every handle, as when their process dies.
    pub(super) fn close_all(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::File(inode) = node {
                (inode.handles, inode.lock) = (0, None);
            }
        }
        self.collect();
    }

    /// The bytes of all files that have a name or are open.
    pub(super) fn used(&self) -> u64 {
        let mut named = BTreeSet::new();
        for node in self.nodes.values() {
            if let Node::Directory(directory) = node {
                named.extend(directory.entries().map(|(_, id)| id));
            }
        }
        let sizes = self.nodes.iter().filter_map(|(id, node)| match node {
            Node::File(inode) if inode.handles > 0 || named.contains(id) => {
                Some(inode.cache().len() as u64)
            }
            _ => None,
        });
        sizes.sum()
    }

    pub(super) fn has_pending(&self) -> bool {
        self.nodes.values().any(|node| match node {
            Node::File(inode) => inode.has_pending(),
            Node::Directory(directory) => directory.has_pending(),
        })
    }

    pub(super) fn crash(&self, choose: &mut dyn FnMut(&Atom) -> Fate) -> Disk {
        let nodes = self.nodes.iter().map(|(id, node)| {
            let node = match node {
                Node::File(inode) => Node::File(inode.crash(*id, choose)),
                Node::Directory(directory) => Node::Directory(directory.crash(*id, choose)),
            };
            (*id, node)
        });
        let mut disk = Disk { nodes: nodes.collect(), ..*self };
        disk.collect();
        disk
    }
}

fn unsupported(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("the model does not know {what}"))
}
