import RunCore

/// What a stage measures of every matrix, and how the journal keeps it.
///
/// A measurement of which the journal keeps nothing but the ``Row`` needs to define ``measure(_:)`` alone.
package protocol MatrixMeasurement {
  /// The result of measuring a matrix, on every member of its team.
  associatedtype Finding
  /// The part of the finding that the journal keeps; arrays lie beside it in the record's file.
  associatedtype Record: RecordContents
  /// The part of the finding that every rank learns in the end.
  associatedtype Row: MatrixRow

  /// Whether weights are read, as nearly every measurement does.
  var readsWeights: Bool { get }

  /// Measures one matrix.
  ///
  /// Collective in a team: every member calls it.
  func measure(_ task: MatrixTask) throws -> Finding

  /// The record for the journal. The arrays of the finding are written to `writer` on the way.
  ///
  /// Local: the owner of the matrix calls it.
  func record(_ finding: Finding, in writer: RecordWriter) throws -> Record

  /// The row of a matrix that has just been measured.
  func row(_ finding: Finding, of task: MatrixTask) throws -> Row

  /// The row of a matrix that an earlier process has measured.
  ///
  /// Only bytes that are read are compared with their hashes. So every array of the record is read here, even if the row does not need it.
  ///
  /// - Throws: any error if the record is damaged.
  func row(_ record: Record, of ordinal: Int, from reader: RecordReader) throws -> Row
}

extension MatrixMeasurement {
  package var readsWeights: Bool { true }
}

/// The record of a matrix of which the journal keeps nothing but the row.
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
