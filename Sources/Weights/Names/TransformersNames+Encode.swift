import ShardIO

extension TransformersNames {
  /// The name of the file beside the masks.
  package static let fileName = "names.json"

  /// The bytes of `names.json`, as docs/reference/formats.md describes it: one JSON object without white space, ended by a newline.
  package func encode() -> [UInt8] {
    var json = JSONWriter()
    json.openObject()
    json.key("covered")
    json.boolean(isCovered)
    json.key("format")
    json.string("frog-names")
    json.key("format_version")
    json.number(1)
    json.key("model_type")
    if let modelType { json.string(modelType) } else { json.null() }
    json.key("tensors")
    json.openObject()
    for entry in entries {
      json.key(entry.tensor)
      json.openObject()
      if let placement = entry.placement {
        json.key("axes")
        json.numbers(placement.axes)
        json.key("parameter")
        json.string(placement.parameter)
        json.key("shape")
        json.numbers(placement.shape)
        json.key("start")
        json.numbers(placement.start)
      } else {
        json.key("parameter")
        json.null()
      }
      json.closeObject()
    }
    json.closeObject()
    json.key("transformers")
    json.string("5")
    json.closeObject()
    return json.text + [UInt8(ascii: "\n")]
  }
}
