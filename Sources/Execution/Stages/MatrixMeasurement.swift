import RunCore

/// What a stage measures of every matrix, and how the journal keeps it.
///
/// A measurement whose ``Row`` is all that is kept defines ``measure(_:)`` alone.
package protocol MatrixMeasurement {
  /// What measuring a matrix gives, on every member of its team.
  associatedtype Finding
  /// What the journal keeps of it, with arrays beside it.
  associatedtype Record: RecordContents
  /// What is told of the matrix in the end, on every rank.
  associatedtype Row: MatrixRow

  /// Measures one matrix.
  ///
  /// Collective in a team: every member calls it.
  func measure(_ task: MatrixTask) throws -> Finding

  /// The journal's record; its arrays are written on the way.
  ///
  /// Local: the owner of the matrix calls it.
  func record(_ finding: Finding, in writer: RecordWriter) throws -> Record

  /// The row of a matrix that has been measured just now.
  func row(_ finding: Finding, of task: MatrixTask) throws -> Row

  /// The row of a matrix that an earlier process has measured, once every byte of its record has been looked at.
  ///
  /// - Throws: anything if the record is damaged.
  func row(_ record: Record, of ordinal: Int, from reader: RecordReader) throws -> Row
}

/// What the journal keeps of a matrix of which nothing but its row is kept.
package struct RowRecord<Row: MatrixRow>: RecordContents {
  package static var currentVersion: Int { 1 }

  let row: Row
}

extension MatrixMeasurement where Finding == Row, Record == RowRecord<Row> {
  package func record(_ finding: Row, in writer: RecordWriter) -> RowRecord<Row> { RowRecord(row: finding) }

  package func row(_ finding: Row, of task: MatrixTask) -> Row { finding }

  package func row(_ record: RowRecord<Row>, of ordinal: Int, from reader: RecordReader) throws -> Row {
    guard record.row.ordinal == ordinal else { throw reader.damage }
    return record.row
  }
}
