// The files that issuers' keys come from, looked at one after the other whenever the engine's work is done. What is
// due is found under the control lock, read in none, and lands under it again: as the host's own load would, unless
// other keys have come meanwhile.

/// One of them, as things stood when its turn came.
struct FileLook: ~Copyable {
  /// In the roster.
  var place = 0
  var seat: UInt64 = 0
  var path = OwnedText(maximum: 4_097)
  var watch = FileWatch()
  var maximum = 0

  /// Without memory its turn comes again.
  mutating func take(_ issuer: Issuer) -> Bool {
    let source = issuer.source
    do throws(Status) { try path.set(source.terms.file) } catch { return false }
    (seat, watch, maximum) = (source.seat, source.watch, issuer.maximumDocument)
    return true
  }
}

extension Cache {
  func lookAtFiles(_ now: Int64) {
    var look = FileLook()
    while ControlLock.with({ findNext(&look, now) }) { carryOut(look, now) }
  }

  private func findNext(_ look: inout FileLook, _ now: Int64) -> Bool {
    while let issuer = unsafe engine.pointee.roster.nextDue(&look.place, now) {
      let source = issuer.source
      guard source.watch.next <= now else { continue }
      source.planLook(now: now)
      settle(source, issuer, .nothing, now)
      if look.take(issuer) { return true }
    }
    return false
  }

  /// One that has gone, or cannot be read, changes nothing and is looked at again.
  private func carryOut(_ look: borrowing FileLook, _ now: Int64) {
    let path = look.path.bytes
    watch(path)
    guard look.watch.mustRead(SourceFile.mark(of: path), now: now) else { return }
    do throws(Fault) {
      let file = try SourceFile(path, atMost: look.maximum)
      let wall = clock.now
      ControlLock.with {
        guard let issuer = unsafe engine.pointee.roster.issuer(at: look.seat),
          issuer.source.watch.changes == look.watch.changes
        else { return }
        unsafe engine.pointee.wall = wall
        land(file, issuer, now)
      }
    } catch { return }
  }

  /// A bad one is not read again until it has changed.
  private func land(_ file: borrowing SourceFile, _ issuer: Issuer, _ now: Int64) {
    let source = issuer.source
    do throws(Fault) { try issuer.put(file, now: now) } catch {
      guard error.status == .invalidDocument, let mark = file.mark else { return }
      source.hasRead(mark, now: now)
      settle(source, issuer, .nothing, now)
    }
  }
}
