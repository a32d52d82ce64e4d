import ShardIO

/// The layers of a checkpoint, found from the names and shapes of all its matrices.
///
/// A layer is a numbered child of a container, such as the `3` in `model.layers.3`. Which of several numbers in a name is that of the layer
/// the first of these rules decides:
///
/// 1. The deepest container whose children are alike: two of them or more hold several matrices each, and half of those of one occur in
///    others too, with the same name below the number and the same shape. So `encoder.stages.1.blocks.0` is block 0 of its stage, since
///    stages differ in shape; and what holds for one stage's blocks holds for those of all stages.
/// 2. The outermost container of which a child holds several kinds of matrices: a single layer, or layers that have nothing in common.
/// 3. In a checkpoint without any such layers: the outermost container with several children, or else the outermost number.
///
/// Experts are no layers, nor is what is in them. They are told by the word in their name, or by being lone feed-forward parts inside of
/// layers. A number in front of all names is a layer by the first rule or as a last resort only, and one at the end of a piece (`layer_3`)
/// by the first two.
///
///     model.layers.3.mlp.experts.7.w1.weight        3 of "model.layers"
///     decoder.block.2.layer.1.EncDecAttention.q     2 of "decoder.block"
///     0.auto_model.encoder.layer.5.output.dense     5 of "0.auto_model.encoder.layer"
package struct LayerStructure: Sendable {
  /// A layer of a checkpoint.
  package struct Layer: Hashable, Sendable {
    /// The path above the number, such as `model.layers`; of `encoder.layer_3` it is `encoder.layer_`.
    package let stack: String
    /// The number, at most 9 digits.
    package let number: Int

    package init(stack: String, number: Int) {
      self.stack = stack
      self.number = number
    }

    package static func == (left: Layer, right: Layer) -> Bool {
      left.number == right.number && ExactName(left.stack) == ExactName(right.stack)
    }

    package func hash(into hasher: inout Hasher) {
      hasher.combine(ExactName(stack))
      hasher.combine(number)
    }
  }

  /// How a number of names of one pattern is taken.
  private enum Standing {
    /// A layer whose fellows are alike.
    case layer
    /// A layer, if no number below it is one.
    case single
    /// A number of a container with several children.
    case several
    /// Any other number.
    case number
  }

  /// The standing of every pattern of numbered containers, but for those that are never layers.
  private let standings: [UInt64: Standing]
  /// Whether there are layers that repeat, so that something can stand outside of them.
  package let hasLayers: Bool

  /// Finds the layers.
  ///
  /// - Parameter tensors: names and shapes of the tensors of rank 2 or more that have elements.
  /// - Complexity: O(bytes of all names).
  package init(_ tensors: some Sequence<(name: String, shape: [Int])>) {
    let evidence = LayerEvidence(tensors)
    var isLayer: [Bool] = []
    // Whether a pattern of layers encloses the pattern, and whether a number that is a whole piece does; numbers in front do not count.
    var enclosure: [(layer: Bool, whole: Bool)] = []
    var found: [Standing?] = []
    for pattern in evidence.patterns {
      let parent = pattern.parent
      let outside = parent.map { evidence.patterns[$0] }
      let enclosing = (
        layer: parent.map { enclosure[$0].layer || isLayer[$0] } ?? false,
        whole: parent.map { enclosure[$0].whole } ?? false || outside.map { $0.isWhole && !$0.isRoot } ?? false
      )
      // Parts of a layer may be alike too: two kinds of attention, or experts. The layer's own number decides, unless there are whole layers
      // inside of it.
      let hasLayersInside = pattern.isAlikeThroughout && !pattern.isLone
      let isSecondary = enclosing.layer || (!pattern.isWhole && enclosing.whole)
      let isFound = !pattern.isExpert && pattern.hasAlikeChildren && (!isSecondary || hasLayersInside)
      isLayer.append(isFound)
      enclosure.append(enclosing)
      let mayBeSingle = pattern.isWhole ? !pattern.isRoot : !enclosing.whole && !pattern.isLone
      if isFound {
        found.append(.layer)
      } else if pattern.isExpert {
        found.append(nil)
      } else if pattern.hasChildOfSeveralKinds && mayBeSingle {
        found.append(.single)
      } else {
        found.append(pattern.isWhole ? (pattern.hasSeveralChildren && !pattern.isRoot ? .several : .number) : nil)
      }
    }
    standings = evidence.positions.compactMapValues { found[$0] }
    hasLayers = found.contains { $0 == .layer || $0 == .single }
  }

  /// The layer that a tensor belongs to; nil if it lies outside all layers.
  ///
  /// - Complexity: O(bytes of the name).
  package func layer(of name: String) -> Layer? {
    let places = NumberedName(name).places.compactMap { place in
      standings[place.pattern].map { (place: place, standing: $0) }
    }
    func first(_ standing: Standing) -> NumberedName.Place? { places.first { $0.standing == standing }?.place }
    var place = places.last { $0.standing == .layer }?.place ?? first(.single)
    if !hasLayers { place = first(.several) ?? places.first { !$0.place.isRoot }?.place ?? places.first?.place }
    guard let place else { return nil }
    let end = place.isWhole ? max(place.start - 1, 0) : place.start
    return Layer(stack: String(name.utf8.prefix(end)) ?? "", number: place.number)
  }
}
