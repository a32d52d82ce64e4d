/// What the tensors of a checkpoint tell about its numbered containers: how many children each has, and how much these are alike.
///
/// - Complexity: O(bytes of all names) time; memory for each number in a name, not for its bytes.
struct LayerEvidence {
  /// What is known of all containers whose names differ in numbers only, such as `encoder.stages.#.blocks`.
  struct Pattern {
    /// The position of the pattern that encloses it; nil if none does.
    let parent: Int?
    /// Whether the number stands in front of all names.
    let isRoot: Bool
    /// Whether the number is a whole piece.
    let isWhole: Bool
    /// Whether the children are experts, or parts of experts, by the word in a name.
    let isExpert: Bool
    /// Whether a container has two children or more.
    var hasSeveralChildren = false
    /// Whether a child holds matrices that differ in shape, or in more of their names than numbers.
    var hasChildOfSeveralKinds = false
    /// Whether two children or more hold several matrices each, and other children have at least half of those of one.
    var hasAlikeChildren = false
    /// Whether this holds for every container with alike children: each child has something that another one has.
    var isAlikeThroughout = true
    /// Whether all matrices of a child belong to one module, as those of a lone feed-forward part do.
    var isLone: Bool { !hasSeveralModules }
    fileprivate var firstModules: UInt64
    fileprivate var hasSeveralModules = false
  }

  /// The patterns, each behind the one that encloses it.
  private(set) var patterns: [Pattern] = []
  /// The positions of patterns, by their hash.
  private(set) var positions: [UInt64: Int] = [:]

  private struct Child: Hashable {
    let container: Int32
    let number: Int32
  }

  private struct Entry: Hashable {
    let container: Int32
    /// The hash of a name below the child's number, and of the shape.
    let content: UInt64
  }

  /// - Parameter tensors: names and shapes of the tensors that hold matrices.
  init(_ tensors: some Sequence<(name: String, shape: [Int])>) {
    var containers: [UInt64: Int32] = [:]
    var patternOfContainer: [Int] = []
    var records: [(child: Child, content: UInt64)] = []
    // The only child that has an entry, or -1 if several have it.
    var owners: [Entry: Int32] = [:]
    // 1. Note every number of every name.
    for (name, shape) in tensors {
      var enclosing: Int?
      for place in NumberedName(name).places {
        let pattern = note(place, in: enclosing)
        enclosing = pattern
        let next = Int32(clamping: containers.count)
        let container = containers[place.container] ?? next
        if container == next {
          containers[place.container] = container
          patternOfContainer.append(pattern)
        }
        var content = ByteHash()
        content.add(Int(truncatingIfNeeded: place.remainder))
        for size in shape { content.add(size) }
        let child = Child(container: container, number: Int32(place.number))
        records.append((child, content.value))
        let entry = Entry(container: container, content: content.value)
        if let owner = owners[entry] {
          if owner != child.number { owners[entry] = -1 }
        } else {
          owners[entry] = child.number
        }
      }
    }
    // 2. Count the matrices of each child, and those that another child has too.
    var children: [Child: Counts] = [:]
    for record in records {
      let isShared = owners[Entry(container: record.child.container, content: record.content)] == -1
      children[record.child, default: Counts(first: record.content)].add(record.content, isShared: isShared)
    }
    // 3. Judge each container by its children, and each pattern by its containers.
    var judgements = [Judgement](repeating: Judgement(), count: patternOfContainer.count)
    for (child, counts) in children { judgements[Int(child.container)].add(counts) }
    for (judgement, pattern) in zip(judgements, patternOfContainer) {
      patterns[pattern].hasSeveralChildren = patterns[pattern].hasSeveralChildren || judgement.children > 1
      if judgement.hasChildOfSeveralKinds { patterns[pattern].hasChildOfSeveralKinds = true }
      guard judgement.isAlike else { continue }
      patterns[pattern].hasAlikeChildren = true
      if !judgement.sharesThroughout { patterns[pattern].isAlikeThroughout = false }
    }
  }

  /// The matrices of one child.
  private struct Counts {
    let first: UInt64
    var matrices: Int32 = 0
    /// The number of those that another child has too.
    var shared: Int32 = 0
    var hasSeveralKinds = false

    init(first: UInt64) { self.first = first }

    mutating func add(_ content: UInt64, isShared: Bool) {
      matrices += 1
      if isShared { shared += 1 }
      if content != first { hasSeveralKinds = true }
    }
  }

  /// What the children of one container tell together.
  private struct Judgement {
    var children = 0
    /// The number of children that hold two matrices or more.
    var large = 0
    var sharesThroughout = true
    var hasChildOfSeveralKinds = false
    private var hasChildLikeOthers = false

    var isAlike: Bool { large > 1 && hasChildLikeOthers }

    mutating func add(_ counts: Counts) {
      children += 1
      if counts.hasSeveralKinds { hasChildOfSeveralKinds = true }
      if counts.shared == 0 { sharesThroughout = false }
      guard counts.matrices > 1 else { return }
      large += 1
      if 2 * counts.shared >= counts.matrices { hasChildLikeOthers = true }
    }
  }

  /// The position of the pattern of a place, which is added if it is new.
  private mutating func note(_ place: NumberedName.Place, in parent: Int?) -> Int {
    if let known = positions[place.pattern] {
      if patterns[known].firstModules != place.modules { patterns[known].hasSeveralModules = true }
      return known
    }
    positions[place.pattern] = patterns.count
    patterns.append(
      Pattern(
        parent: parent, isRoot: place.isRoot, isWhole: place.isWhole,
        isExpert: place.isExpert || parent.map { patterns[$0].isExpert } ?? false, firstModules: place.modules))
    return patterns.count - 1
  }
}
