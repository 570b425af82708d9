/*
 * The step `krunner`: builds a list of images in the container `krunner`, publishes the reports, and says what failed.
 * Options and examples: krunner.txt.
 */

List call(Map options = [:]) {
    Map wanted = withDefaults(options)
    int status = wanted.container ? container(wanted.container) { build(wanted) } : build(wanted)
    if (status != 0) {
        error "krunner ended with status ${status}: ${meaning(status)}"
    }
    String digests = "${wanted.reportDir}/digests.txt"
    return fileExists(digests) ? readFile(digests).readLines() : []
}

private Map withDefaults(Map options) {
    Map defaults = [file: 'builds.yaml', container: 'krunner', reportDir: 'krunner-report', jobs: 0,
                    only: [], skip: [], shard: '', failFast: false, resume: false, args: []]
    for (name in options.keySet()) {
        if (!defaults.containsKey(name)) {
            error "krunner: there is no option '${name}'; there are ${defaults.keySet().join(', ')}"
        }
    }
    return defaults + options
}

/** Run krunner; the reports are published also if the build is aborted meanwhile. The status krunner ended with. */
private int build(Map wanted) {
    try {
        return sh(label: 'krunner', script: commandLine(wanted), returnStatus: true)
    } finally {
        junit testResults: "${wanted.reportDir}/junit.xml", allowEmptyResults: true
        archiveArtifacts artifacts: "${wanted.reportDir}/**", allowEmptyArchive: true
    }
}

private String commandLine(Map wanted) {
    List words = ['krunner', 'build', '--report-dir', wanted.reportDir]
    if (wanted.jobs) {
        words += ['--jobs', wanted.jobs]
    }
    for (glob in [wanted.only].flatten()) {
        words += ['--only', glob]
    }
    for (glob in [wanted.skip].flatten()) {
        words += ['--skip', glob]
    }
    if (wanted.shard) {
        words += ['--shard', wanted.shard]
    }
    if (wanted.failFast) {
        words << '--fail-fast'
    }
    if (wanted.resume) {
        words << '--resume'
    }
    words += wanted.args
    words << wanted.file
    List quoted = []
    for (word in words) {
        quoted << "'" + word.toString().replace("'", "'\\''") + "'"
    }
    return quoted.join(' ')
}

private String meaning(int status) {
    Map known = [1: 'a build failed', 2: 'wrong usage or an invalid file', 3: 'all built, but a push failed',
                 4: 'the machine is unfit', 70: 'a bug of krunner', 75: 'failures that may pass: run it again',
                 130: 'stopped', 143: 'stopped']
    return known.containsKey(status) ? known[status] : 'see the log'
}
