import RunCore

/// A target of a run, with its place among the rankings and in the output folder.
struct PlacedTarget {
  let target: MaskTarget
  /// The name of the target's folder in the output folder; nil if the output folder itself is that of the run's only target.
  let folder: String?
  /// The position of its ranking among those of the run.
  let ranking: Int
  /// Its position among the targets of its ranking.
  let position: Int

  /// A file of the target that has been finished in the work folder.
  ///
  /// - Parameter name: the name of the file in the target's folder.
  func file(_ name: String) -> PublishedFile {
    guard let folder else { return PublishedFile(name) }
    return PublishedFile("\(folder)-\(name)", as: name, in: folder)
  }
}

extension PlacedTarget {
  /// The targets of a run with their places.
  ///
  /// - Parameters:
  ///   - groups: for each ranking of the run, the positions of its targets in `targets`.
  static func place(_ targets: [MaskTarget], rankedBy groups: [[Int]]) -> [PlacedTarget] {
    var places: [(ranking: Int, position: Int)] = targets.map { _ in (0, 0) }
    for (ranking, members) in groups.enumerated() {
      for (position, target) in members.enumerated() { places[target] = (ranking, position) }
    }
    return zip(targets, places).map { target, place in
      PlacedTarget(
        target: target, folder: targets.count > 1 ? target.name : nil, ranking: place.ranking, position: place.position)
    }
  }
}
