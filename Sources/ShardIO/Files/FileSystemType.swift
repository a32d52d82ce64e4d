/// The file system that holds a file, as statfs(2) names it.
struct FileSystemType: RawRepresentable, Hashable, Sendable {
  /// The magic number of the file system, `f_type`.
  let rawValue: UInt32

  static let nfs = FileSystemType(rawValue: 0x6969)
  static let lustre = FileSystemType(rawValue: 0x0BD0_0BD0)
  /// File systems in user space, such as sshfs, gcsfuse and BeeGFS, and virtio-fs.
  static let fuse = FileSystemType(rawValue: 0x6573_5546)
  static let smb = FileSystemType(rawValue: 0x517B)
  static let smb2 = FileSystemType(rawValue: 0xFE53_4D42)
  static let cifs = FileSystemType(rawValue: 0xFF53_4D42)
  static let plan9 = FileSystemType(rawValue: 0x0102_1997)
  static let ceph = FileSystemType(rawValue: 0x00C3_6400)
  static let gpfs = FileSystemType(rawValue: 0x4750_4653)
  static let beegfs = FileSystemType(rawValue: 0x1983_0326)
  static let afs = FileSystemType(rawValue: 0x5346_414F)
  static let kernelAFS = FileSystemType(rawValue: 0x6B41_4653)
  static let orangefs = FileSystemType(rawValue: 0x2003_0528)
  static let panfs = FileSystemType(rawValue: 0xAAD7_AAEA)
  static let coda = FileSystemType(rawValue: 0x7375_7245)
  static let ncp = FileSystemType(rawValue: 0x564C)
  static let stornext = FileSystemType(rawValue: 0xBEEF_DEAD)
  static let ibrix = FileSystemType(rawValue: 0x0131_11A8)
  static let gfs2 = FileSystemType(rawValue: 0x0116_1970)
  static let ocfs2 = FileSystemType(rawValue: 0x7461_636F)
  static let virtualBox = FileSystemType(rawValue: 0x786F_4256)
  static let parallels = FileSystemType(rawValue: 0x7C7C_6673)
  static let vmware = FileSystemType(rawValue: 0xBACB_ACBC)

  static let tmpfs = FileSystemType(rawValue: 0x0102_1994)
  static let ramfs = FileSystemType(rawValue: 0x8584_58F6)

  /// The names of file systems that a message may have to name.
  private static let names: [FileSystemType: String] = [
    nfs: "NFS", lustre: "Lustre", fuse: "FUSE", smb: "SMB", smb2: "SMB", cifs: "SMB", plan9: "9p", ceph: "Ceph",
    gpfs: "GPFS", beegfs: "BeeGFS", afs: "AFS", kernelAFS: "AFS", orangefs: "OrangeFS", panfs: "PanFS", coda: "Coda",
    ncp: "NCP", stornext: "StorNext", ibrix: "Ibrix", gfs2: "GFS2", ocfs2: "OCFS2", virtualBox: "VirtualBox",
    parallels: "Parallels", vmware: "VMware", tmpfs: "tmpfs", ramfs: "ramfs",
    FileSystemType(rawValue: 0xEF53): "ext4", FileSystemType(rawValue: 0x5846_5342): "XFS",
    FileSystemType(rawValue: 0x9123_683E): "Btrfs", FileSystemType(rawValue: 0x2FC1_2FC1): "ZFS",
    FileSystemType(rawValue: 0x794C_7630): "overlayfs",
  ]

  /// The name that people know; the magic number in hexadecimal digits where there is none here.
  var name: String { Self.names[self] ?? "0x" + String(rawValue, radix: 16) }

  /// Whether files lie in the memory of one machine, and are gone with it.
  var isMemory: Bool { self == .tmpfs || self == .ramfs }

  /// The file systems whose bytes come over a network or from another process. There each page fault is a round trip,
  /// so mapping is many times slower than reading, and a server that goes away kills the process.
  private static let remote: Set<FileSystemType> = [
    nfs, lustre, fuse, smb, smb2, cifs, plan9, ceph, gpfs, beegfs, afs, kernelAFS, orangefs, panfs, coda, ncp, stornext,
    ibrix, gfs2, ocfs2, virtualBox, parallels, vmware,
  ]

  /// The best way to read a file on this file system: ``SourceKind/pread`` if it is remote, else ``SourceKind/mmap``.
  var bestKind: SourceKind { Self.remote.contains(self) ? .pread : .mmap }
}
