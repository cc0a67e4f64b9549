//! The nodes of the file system, and the paths that lead to them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;

use wal_fs::{DirEntry, NodeKind};

use super::crash::{Atom, Fate};
use super::directory::Directory;
use super::inode::{Inode, Lens};

const ROOT: u64 = 0;

/// All files and directories. A clone shares everything with the original until one of them changes.
#[derive(Clone)]
pub(super) struct Disk {
    nodes: BTreeMap<u64, Arc<Node>>,
    next_node: u64,
    /// The number of the last change.
    pub(super) seq: u64,
    /// How many bytes the files may hold together.
    pub(super) capacity: Option<u64>,
    /// A new name needs space as well, so a full disk has none for it.
    pub(super) names_take_room: bool,
    /// An error made the file system refuse changes.
    pub(super) read_only: bool,
    /// The device keeps what it writes again as it is.
    pub(super) powersafe: bool,
    /// The first write-through in place after a sync stays in the cache of the device.
    pub(super) lazy_through: bool,
    /// No directory can be synced.
    pub(super) refuses_dir_syncs: bool,
    /// What the file held that was removed last: its blocks are the next to be given out.
    buried: Arc<Vec<u8>>,
}

#[derive(Clone)]
enum Node {
    File(Inode),
    Directory(Directory),
}

impl Disk {
    pub(super) fn new() -> Self {
        let nodes = BTreeMap::from([(ROOT, Arc::new(Node::Directory(Directory::default())))]);
        Disk {
            nodes,
            next_node: ROOT + 1,
            seq: 0,
            capacity: None,
            names_take_room: false,
            read_only: false,
            powersafe: true,
            lazy_through: false,
            refuses_dir_syncs: false,
            buried: Arc::default(),
        }
    }

    pub(super) fn next_seq(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    pub(super) fn inode(&self, id: u64) -> io::Result<&Inode> {
        match self.nodes.get(&id).map(|node| &**node) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Directory(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn inode_mut(&mut self, id: u64) -> io::Result<&mut Inode> {
        match self.nodes.get_mut(&id).map(Arc::make_mut) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Directory(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn directory(&self, id: u64) -> io::Result<&Directory> {
        match self.nodes.get(&id).map(|node| &**node) {
            Some(Node::Directory(directory)) => Ok(directory),
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn directory_mut(&mut self, id: u64) -> io::Result<&mut Directory> {
        self.directory(id)?;
        match self.nodes.get_mut(&id).map(Arc::make_mut) {
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

    /// Says what reads see and what a power loss leaves that takes everything unsynced. Nodes are told apart by their
    /// labels.
    pub(super) fn fingerprint(&self, label: &dyn Fn(u64) -> u64) -> u64 {
        let of_node = |(id, node): (&u64, &Arc<Node>)| {
            let mut hasher = DefaultHasher::new();
            label(*id).hash(&mut hasher);
            match &**node {
                Node::File(inode) => inode.fingerprint(&mut hasher),
                Node::Directory(directory) => directory.fingerprint(label, &mut hasher),
            }
            hasher.finish()
        };
        self.nodes.iter().map(of_node).fold(0, u64::wrapping_add)
    }

    pub(super) fn name_of(&self, id: u64) -> Option<String> {
        self.directories().find_map(|directory| directory.name_of(id))
    }

    pub(super) fn kind(&self, id: u64) -> io::Result<NodeKind> {
        match self.nodes.get(&id).map(|node| &**node) {
            Some(Node::File(_)) => Ok(NodeKind::File),
            Some(Node::Directory(_)) => Ok(NodeKind::Directory),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(super) fn read_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let directory = self.directory(self.find(path)?)?;
        let is_dir = |id| self.directory(id).is_ok();
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
        self.nodes.insert(id, Arc::new(node));
        self.directory_mut(parent)?.change(seq, vec![(name.into(), Some(id))]);
        Ok(id)
    }

    pub(super) fn create_file(&mut self, path: &Path) -> io::Result<u64> {
        self.room_for_a_name()?;
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
        if replaced.is_none() {
            self.room_for_a_name()?;
        }
        if let Some(replaced) = replaced {
            self.buried = self.inode(replaced)?.shared_cache();
        }
        let seq = self.next_seq();
        self.directory_mut(from_dir)?.change(seq, names);
        Ok(())
    }

    fn room_for_a_name(&self) -> io::Result<()> {
        match self.capacity {
            Some(capacity) if self.names_take_room && self.used() >= capacity => {
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => Ok(()),
        }
    }

    pub(super) fn rename_new(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let (directory, name) = self.parent(to)?;
        if self.directory(directory)?.get(name).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.rename(from, to)
    }

    pub(super) fn exchange(&mut self, one: &Path, other: &Path) -> io::Result<()> {
        let ((one_dir, one), (other_dir, other)) = (self.parent(one)?, self.parent(other)?);
        if one_dir != other_dir {
            return Err(unsupported("an exchange with another directory"));
        }
        let directory = self.directory(one_dir)?;
        let node = |name| directory.get(name).ok_or(io::ErrorKind::NotFound);
        let (first, second) = (node(one)?, node(other)?);
        let names = vec![(one.into(), Some(second)), (other.into(), Some(first))];
        let seq = self.next_seq();
        self.directory_mut(one_dir)?.change(seq, names);
        Ok(())
    }

    pub(super) fn remove_file(&mut self, path: &Path) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let id = self.directory(parent)?.get(name).ok_or(io::ErrorKind::NotFound)?;
        self.buried = self.inode(id)?.shared_cache();
        let seq = self.next_seq();
        self.directory_mut(parent)?.change(seq, vec![(name.into(), None)]);
        Ok(())
    }

    /// Gives a file a second name in its directory.
    pub(super) fn link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let ((from_dir, from), (to_dir, to)) = (self.parent(from)?, self.parent(to)?);
        let node = self.directory(from_dir)?.get(from).ok_or(io::ErrorKind::NotFound)?;
        self.inode(node)?;
        if self.directory(to_dir)?.get(to).is_some() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let seq = self.next_seq();
        self.directory_mut(to_dir)?.change(seq, vec![(to.into(), Some(node))]);
        Ok(())
    }

    /// How many names a file has.
    pub(super) fn names_of(&self, id: u64) -> u64 {
        let names = self.directories().flat_map(Directory::entries);
        names.filter(|(_, node)| *node == id).count() as u64
    }

    pub(super) fn sync_dir(&mut self, path: &Path) -> io::Result<()> {
        let id = self.find(path)?;
        if self.refuses_dir_syncs {
            return Err(unsupported("how to sync a directory"));
        }
        self.directory_mut(id)?.sync();
        self.collect();
        Ok(())
    }

    /// Forgets files that no name, handle or crash can lead to any more.
    pub(super) fn collect(&mut self) {
        let mut reachable = BTreeSet::from([ROOT]);
        for directory in self.directories() {
            reachable.extend(directory.reachable());
        }
        self.nodes.retain(|id, node| {
            reachable.contains(id) || matches!(&**node, Node::File(inode) if inode.handles > 0)
        });
    }

    /// Closes a handle.
    pub(super) fn close(&mut self, id: u64) {
        let Ok(inode) = self.inode_mut(id) else { return };
        inode.handles -= 1;
        if inode.handles == 0 {
            inode.evict();
            if !self.directories().any(|directory| directory.reachable().any(|node| node == id)) {
                self.nodes.remove(&id);
            }
        }
    }

    /// Closes every handle, as when their process dies.
    pub(super) fn close_all(&mut self) {
        for node in self.nodes.values_mut() {
            if let Node::File(inode) = Arc::make_mut(node) {
                (inode.handles, inode.lock) = (0, None);
                inode.evict();
            }
        }
        self.collect();
    }

    fn directories(&self) -> impl Iterator<Item = &Directory> {
        self.nodes.values().filter_map(|node| match &**node {
            Node::Directory(directory) => Some(directory),
            Node::File(_) => None,
        })
    }

    fn files(&self) -> impl Iterator<Item = (u64, &Inode)> {
        self.nodes.iter().filter_map(|(id, node)| match &**node {
            Node::File(inode) => Some((*id, inode)),
            Node::Directory(_) => None,
        })
    }

    /// The bytes of all files that have a name or are open.
    pub(super) fn used(&self) -> u64 {
        let named: BTreeSet<u64> = self
            .directories()
            .flat_map(|directory| directory.entries().map(|(_, id)| id))
            .collect();
        let counted = self.files().filter(|(id, inode)| inode.handles > 0 || named.contains(id));
        counted.map(|(_, inode)| inode.cache().len() as u64).sum()
    }

    pub(super) fn has_pending(&self) -> bool {
        self.files().any(|(_, inode)| inode.has_pending())
            || self.directories().any(Directory::has_pending)
    }

    /// What a power loss leaves, with writes kept or lost in pieces of `atom_bytes`.
    pub(super) fn crash(&self, atom_bytes: u64, choose: &mut dyn FnMut(&Atom) -> Fate) -> Disk {
        let nodes = self.nodes.iter().map(|(id, node)| {
            let node = match &**node {
                Node::File(inode) => {
                    let lens = Lens { node: *id, atom_bytes, stale: &self.buried, choose };
                    Node::File(inode.crash(lens))
                }
                Node::Directory(directory) => Node::Directory(directory.crash(*id, choose)),
            };
            (*id, Arc::new(node))
        });
        self.restarted(nodes.collect())
    }

    /// What the death of the process leaves once the cache has been written back.
    pub(super) fn written_back(&self) -> Disk {
        let nodes = self.nodes.iter().map(|(id, node)| {
            let node = match &**node {
                Node::File(inode) => Node::File(inode.written_back()),
                Node::Directory(directory) => {
                    Node::Directory(directory.crash(*id, &mut |_| Fate::Kept))
                }
            };
            (*id, Arc::new(node))
        });
        self.restarted(nodes.collect())
    }

    fn restarted(&self, nodes: BTreeMap<u64, Arc<Node>>) -> Disk {
        let buried = Arc::clone(&self.buried);
        let mut disk = Disk { nodes, buried, read_only: false, ..*self };
        disk.collect();
        disk
    }
}

fn unsupported(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("the model does not know {what}"))
}
