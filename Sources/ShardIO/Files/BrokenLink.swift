import SystemPackage

/// A symbolic link that leads nowhere, which makes a file look missing although a listing of its folder shows its name.
///
/// The cache of Hugging Face is made of links to blobs. It is full of broken ones once blobs have been removed.
struct BrokenLink: Equatable, Sendable {
  /// The link: the path that was to be opened, or a folder above it.
  let link: FilePath
  /// The place where the link leads in the end, as it is written in the link.
  let target: FilePath

  /// As many links as Linux follows before it gives up.
  private static let mostLinks = 40

  /// The broken link that keeps `path` from being opened; nil if there is none.
  ///
  /// - Complexity: a few system calls for each component and link of the path.
  static func find(on path: FilePath) -> BrokenLink? {
    var link = path
    while (try? link.stat(followTargetSymlink: false)) == nil {
      let parent = link.removingLastComponent()
      guard parent != link, !parent.isEmpty else { return nil }
      link = parent
    }
    var place = link
    for _ in 0..<mostLinks {
      guard let target = try? SystemCalls.target(of: place) else { return nil }
      place = place.removingLastComponent().pushing(target)
      if (try? place.stat()) != nil { return nil }
      if (try? place.stat(followTargetSymlink: false)) == nil { return BrokenLink(link: link, target: target) }
    }
    return nil
  }
}
