import SystemPackage

/// A name from a file in the form that messages print: in quotes, with invisible and control characters escaped, cut
/// after 120 characters.
///
/// Names in a checkpoint may be hostile. A raw one could move the terminal's cursor, reverse the reading order of the
/// line, or bury the message under a megabyte of text.
public func quoted(_ name: String) -> String {
  quoted(name, limit: 120)
}

private func quoted(_ name: String, limit: Int) -> String {
  var text = ""
  var count = 0
  for scalar in name.unicodeScalars {
    if count == limit { return "'\(text)…' (\(name.utf8.count) bytes)" }
    count += 1
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned:
      text += "\\u{\(String(scalar.value, radix: 16))}"
    default:
      if scalar == "\\" || scalar == "'" { text += "\\" }
      text.unicodeScalars.append(scalar)
    }
  }
  return "'\(text)'"
}

/// A path in the form that messages print. Plain paths stay as the user typed them, others are ``quoted(_:)``.
package func shown(_ path: FilePath) -> String {
  let text = path.string
  let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f } && text.utf8.count <= 1024
  return isPlain ? text : quoted(text, limit: 1024)
}

/// A shape in the form that messages print: at most 8 dimensions and their number, since a hostile shape can have
/// millions.
package func shown(_ shape: [Int]) -> String {
  let limit = 8
  let dimensions = shape.prefix(limit).map(String.init).joined(separator: ", ")
  return shape.count > limit ? "[\(dimensions), … \(shape.count) dimensions]" : "[\(dimensions)]"
}
