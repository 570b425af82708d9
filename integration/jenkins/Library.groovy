import java.lang.annotation.Retention
import java.lang.annotation.RetentionPolicy

// Stands for Jenkins' annotation: `@Library('krunner') _`.
@Retention(RetentionPolicy.SOURCE)
@interface Library {
    String value()
}
