/// A file that has been finished in the work folder, and the place where it will appear.
package struct PublishedFile: Codable, Sendable {
  /// The name in the work folder.
  package let work: String
  /// The name under which it appears.
  package let name: String
  /// The path of the folder in the output folder that it appears in; nil for the output folder itself.
  package let folder: String?

  /// - Parameters:
  ///   - work: the name in the work folder.
  ///   - name: the name under which the file appears; nil if it keeps its name.
  ///   - folder: the path of the folder in the output folder; nil for the output folder itself.
  package init(_ work: String, as name: String? = nil, in folder: String? = nil) {
    self.work = work
    self.name = name ?? work
    self.folder = folder
  }

  /// The path below the output folder.
  var path: String { (folder.map { $0 + "/" } ?? "") + name }

  /// Whether the file stays in the folders that it is said to be in, whatever a damaged list says.
  var isSafe: Bool { [work, name].allSatisfy(Self.isSafe) && folder.map(Self.isSafePath) ?? true }

  /// Whether a name is that of something in a folder.
  static func isSafe(_ name: String) -> Bool { !name.isEmpty && name != "." && name != ".." && !name.contains("/") }

  /// Whether a path is that of something in a folder, or in folders in it.
  package static func isSafePath(_ path: String) -> Bool {
    path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { isSafe(String($0)) }
  }
}
